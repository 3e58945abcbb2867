// Files that are given for a model and are something else, whole or not: says what they are.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lapidary/result.h"

namespace lapidary::runtime {

// The error for a file that is empty, or begins like a well-known kind that is neither GGUF nor safetensors.
std::optional<Error> other_kind(std::string_view file, const std::string& path);

// The error for a file that does not begin like GGUF.
Error not_gguf(std::string_view file, const std::string& path);

}  // namespace lapidary::runtime
