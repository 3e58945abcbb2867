// Numbers as users type them. Every function returns the value, or a usage error that names the option,
// what was given and what is allowed. Used by the option tables of all verbs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::cli {

// A whole number in [low, high]. With `suffix`, k and m multiply by 1024 and 1024 squared: "8k" is 8192.
Result<int64_t> parse_count(std::string_view option, std::string_view text, int64_t low, int64_t high,
                            bool suffix = false);

// An unsigned 64-bit number, decimal: seeds.
Result<uint64_t> parse_u64(std::string_view option, std::string_view text);

// A finite number in [low, high].
Result<double> parse_real(std::string_view option, std::string_view text, double low, double high);

// Bytes: "12G", "800M", "1.5GiB", or a plain number of them. K, M, G and T are powers of 1024, with or without iB or B.
Result<uint64_t> parse_bytes(std::string_view option, std::string_view text);

// A share that is not nothing: above 0, up to 1.
Result<double> parse_share(std::string_view option, std::string_view text);

// Whole numbers in [low, high], separated by commas or spaces; at least one.
Result<std::vector<int32_t>> parse_list(std::string_view option, std::string_view text, int64_t low,
                                        int64_t high);

// As parse_list, with ranges among the numbers: "512-4096*2" is 512,1024,2048,4096; "1-7+3" is 1,4,7; "2-4" is
// 2,3,4. The upper end is part of a range only when a step meets it. At most kMaxSweep numbers.
inline constexpr size_t kMaxSweep = 1000;
Result<std::vector<int32_t>> parse_sweep(std::string_view option, std::string_view text, int64_t low,
                                         int64_t high);

// Three digits, never an exponent: 7.56, 64.2, 1240.
std::string three_digits(double value);
// 6960097088 -> "6.48 GiB"; used in tables and messages.
std::string human_bytes(uint64_t bytes);
// 11907350064 -> "11.9 B", 7531264 -> "7.53 M".
std::string human_count(uint64_t count);

}  // namespace lapidary::cli
