// How far two words are from each other: for "did you mean".
#pragma once

#include <cstddef>
#include <string_view>

namespace lapidary {

// Edits that make b of a: a letter more, less or another, or two swapped.
size_t edits(std::string_view a, std::string_view b);

}  // namespace lapidary
