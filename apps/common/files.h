// Reading whole small files and stdin.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::cli {

// The bytes of a file, or of stdin when the name is "-". At most kMaxTextBytes.
inline constexpr size_t kMaxTextBytes = size_t{1} << 28;
Result<std::string> read_text(const std::string& name);
bool stdin_is_terminal();
// Bytes wait in a pipe, or a file has a rest; answers at once.
bool stdin_holds_something();

// A JSON file of token ids: [2,105] or {"ids":[...]}.
Result<std::vector<int32_t>> read_token_ids(const std::string& name);

}  // namespace lapidary::cli
