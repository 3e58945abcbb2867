// Texts that the kernel writes in /proc and /sys. They may be missing, forbidden or unlike what they should be: that is
// "nothing" here, never an error. Any thread may call these.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapidary::runtime {

// The file's text without white space at its ends, of long files the first MiB; empty where it cannot be read.
std::string kernel_text(const std::filesystem::path& file);

// Lines, words or items of a list, with empty ones kept: "a,,b" has three. They view `text`.
std::vector<std::string_view> pieces(std::string_view text, char separator);

// Of a decimal number and nothing else, below 2^64.
std::optional<uint64_t> whole_number(std::string_view text);

// The number behind `key` at the begin of a line: of "MemTotal:   123 kB" that of "MemTotal:" is 123.
std::optional<uint64_t> number_behind(std::string_view text, std::string_view key);

}  // namespace lapidary::runtime
