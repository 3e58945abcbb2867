// Parsing and printing of numbers for the command line; see numbers.h.
#include "apps/common/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <system_error>

#include "apps/common/arguments.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

Error out_of_range(std::string_view option, std::string_view text, int64_t low, int64_t high) {
    return usage(fmt::format("{} is {}, allowed are {} to {}", option, text, low, high));
}

// The whole text as a number.
template <class T>
std::errc read_number(std::string_view text, T& value) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc() && end != text.data() + text.size() ? std::errc::invalid_argument : problem;
}

// 1, 1024 or 1024 squared; takes the letter off the text.
int64_t take_suffix(std::string_view& text) {
    if (text.size() < 2) return 1;
    const char last = text.back();
    const int64_t scale = last == 'k' || last == 'K' ? 1024 : last == 'm' || last == 'M' ? 1024 * 1024 : 1;
    if (scale != 1) text.remove_suffix(1);
    return scale;
}

Result<double> parse_number(std::string_view option, std::string_view text) {
    double value = 0;
    if (read_number(text, value) != std::errc()) return usage(fmt::format("{} takes a number, not '{}'", option, text));
    return value;
}

}  // namespace

Result<int64_t> parse_count(std::string_view option, std::string_view text, int64_t low, int64_t high, bool suffix) {
    std::string_view digits = text;
    const int64_t scale = suffix ? take_suffix(digits) : 1;
    int64_t value = 0;
    const std::errc problem = read_number(digits, value);
    if (problem == std::errc::result_out_of_range) return out_of_range(option, text, low, high);
    if (problem != std::errc()) return usage(fmt::format("{} takes a whole number, not '{}'", option, text));
    if (value > high / scale || value < low / scale || value * scale < low) return out_of_range(option, text, low, high);
    return value * scale;
}

Result<uint64_t> parse_u64(std::string_view option, std::string_view text) {
    uint64_t value = 0;
    if (read_number(text, value) != std::errc())
        return usage(fmt::format("{} takes a whole number from 0 to {}, not '{}'", option, UINT64_MAX, text));
    return value;
}

Result<double> parse_real(std::string_view option, std::string_view text, double low, double high) {
    LAP_ASSIGN(const double value, parse_number(option, text));
    if (!std::isfinite(value) || value < low || value > high)
        return usage(fmt::format("{} is {}, allowed are {} to {}", option, text, low, high));
    return value;
}

Result<uint64_t> parse_bytes(std::string_view option, std::string_view text) {
    constexpr std::string_view kUnits = "KMGT";
    std::string_view digits = text;
    for (const std::string_view ending : {"iB", "B"})
        if (digits.ends_with(ending)) {
            digits.remove_suffix(ending.size());
            break;
        }
    double scale = 1;
    if (!digits.empty()) {
        const auto unit = kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(digits.back()))));
        if (unit != kUnits.npos) {
            scale = std::pow(1024.0, static_cast<double>(unit + 1));
            digits.remove_suffix(1);
        }
    }
    double value = 0;
    if (read_number(digits, value) != std::errc() || !std::isfinite(value))
        return usage(fmt::format("{} takes a number of bytes such as 12G or 800M, not '{}'", option, text));
    if (value * scale < 1 || value * scale > 1e15)
        return usage(fmt::format("{} is {}, allowed are 1 byte to 900T", option, text));
    return static_cast<uint64_t>(value * scale);
}

Result<double> parse_share(std::string_view option, std::string_view text) {
    LAP_ASSIGN(const double value, parse_number(option, text));
    if (!(value > 0 && value <= 1))
        return usage(fmt::format("{} is {}, allowed are numbers above 0 up to 1", option, text));
    return value;
}

Result<std::vector<int32_t>> parse_list(std::string_view option, std::string_view text, int64_t low,
                                        int64_t high) {
    std::vector<int32_t> values;
    size_t begin = 0;
    while (begin < text.size()) {
        const size_t end = std::min(text.find_first_of(", \t\n", begin), text.size());
        if (end > begin) {
            LAP_ASSIGN(const int64_t value, parse_count(option, text.substr(begin, end - begin), low, high));
            values.push_back(static_cast<int32_t>(value));
        } else if (text[end] == ',') {
            return usage(fmt::format("{} has an empty number at character {}", option, begin));
        }
        begin = end + 1;
    }
    if (values.empty()) return usage(fmt::format("{} is an empty list", option));
    return values;
}

namespace {

// "from-to*factor", "from-to+step" or "from-to".
Result<void> add_range(std::string_view option, std::string_view text, int64_t low, int64_t high,
                       std::vector<int32_t>& values) {
    const size_t dash = text.find('-', 1), sign = text.find_first_of("*+", dash);
    LAP_ASSIGN(const int64_t from, parse_count(option, text.substr(0, dash), low, high));
    LAP_ASSIGN(const int64_t to, parse_count(option, text.substr(dash + 1, sign - dash - 1), low, high));
    const bool multiplies = sign != text.npos && text[sign] == '*';
    int64_t by = 1;
    if (sign != text.npos) {
        LAP_ASSIGN(by, parse_count(option, text.substr(sign + 1), multiplies ? 2 : 1, high));
    }
    if (to < from) return usage(fmt::format("{}: the range {} goes down", option, text));
    if (multiplies && from == 0) return usage(fmt::format("{}: the range {} stays at 0", option, text));
    for (int64_t value = from; value <= to; value = multiplies ? value * by : value + by) {
        if (values.size() == kMaxSweep)
            return usage(fmt::format("{}: {} makes more than {} numbers", option, text, kMaxSweep));
        values.push_back(static_cast<int32_t>(value));
    }
    return {};
}

}  // namespace

Result<std::vector<int32_t>> parse_sweep(std::string_view option, std::string_view text, int64_t low,
                                         int64_t high) {
    std::vector<int32_t> values;
    for (const std::string_view item : split(text, ',')) {
        if (item.find('-', 1) != item.npos) {
            LAP_TRY(add_range(option, item, low, high, values));
        } else {
            LAP_ASSIGN(const int64_t value, parse_count(option, item, low, high));
            values.push_back(static_cast<int32_t>(value));
        }
    }
    return values;
}

std::string three_digits(double value) { return fmt::format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0); }

namespace {

// In the largest unit of which there is one: of the first there are `step` in it, of each later one `step` times more.
std::string in_units(uint64_t amount, double step, const std::array<const char*, 4>& units) {
    double value = static_cast<double>(amount) / step;
    size_t unit = 0;
    for (; value >= step && unit + 1 < units.size(); ++unit) value /= step;
    return fmt::format("{} {}", three_digits(value), units[unit]);
}

}  // namespace

std::string human_bytes(uint64_t bytes) {
    return bytes < 1024 ? fmt::format("{} B", bytes) : in_units(bytes, 1024, {"KiB", "MiB", "GiB", "TiB"});
}

std::string human_count(uint64_t count) {
    return count < 1000 ? fmt::format("{}", count) : in_units(count, 1000, {"k", "M", "B", "T"});
}

}  // namespace lapidary::cli
