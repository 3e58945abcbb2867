// Reading whole small files and stdin.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::cli {

// The bytes of a file, or of stdin when the name is "-". At most kMaxTextBytes.
inline constexpr size_t kMaxTextBytes = size_t{1} << 28;
Result<std::string> read_text(const std::string& name);
bool stdin_is_terminal();
// The same of a text in UTF-8, without the mark (BOM) that some editors begin it with. An error where it is none:
// UTF-16 with or without mark, NUL bytes, pictures, recordings.
Result<std::string> read_plain_text(const std::string& name);
Result<void> check_plain_text(std::string_view text, std::string_view name);
// An error where it is none that can be read, as a folder.
Result<void> check_stdin();
// Bytes wait in a pipe, or a file has a rest; answers at once.
bool stdin_holds_something();

// A JSON file of token ids: [2,105] or {"ids":[...]}.
Result<std::vector<int32_t>> read_token_ids(const std::string& name);

}  // namespace lapidary::cli
