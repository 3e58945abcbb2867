// How many columns of a terminal a text takes.
#pragma once

#include <cstddef>
#include <string_view>

namespace lapidary::cli {

// Of printable UTF-8: two for wide characters, none for combining ones.
size_t text_width(std::string_view text);
// The text, as far as it fits into so many columns.
std::string_view first_columns(std::string_view text, size_t columns);

}  // namespace lapidary::cli
