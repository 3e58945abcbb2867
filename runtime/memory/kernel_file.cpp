#include "runtime/memory/kernel_file.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <system_error>

namespace lapidary::runtime {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;  // the longest, mountinfo of a host of containers, has some hundred KiB
constexpr std::string_view kBlanks = " \t\r\n\f\v";

}  // namespace

std::string kernel_text(const std::filesystem::path& file) {
    std::error_code missing;
    if (!std::filesystem::is_regular_file(file, missing)) return {};  // a pipe would be waited for
    std::ifstream in(file, std::ios::binary);
    std::string text;
    // Their sizes are said to be 0 or a page: only reading tells.
    for (char block[4096]; in && text.size() < kMostBytes;) {
        in.read(block, sizeof block);
        text.append(block, static_cast<size_t>(in.gcount()));
    }
    const size_t last = text.find_last_not_of(kBlanks);
    text.erase(last == std::string::npos ? 0 : last + 1);
    text.erase(0, text.find_first_not_of(kBlanks));
    return text;
}

std::vector<std::string_view> pieces(std::string_view text, char separator) {
    std::vector<std::string_view> out;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(separator, begin), text.size());
        out.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

std::optional<uint64_t> whole_number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<uint64_t> number_behind(std::string_view text, std::string_view key) {
    for (std::string_view line : pieces(text, '\n')) {
        if (!line.starts_with(key)) continue;
        line.remove_prefix(key.size());
        const size_t begin = line.find_first_not_of(kBlanks);
        if (begin == 0 || begin == std::string_view::npos) continue;  // a longer key, or nothing behind it
        line.remove_prefix(begin);
        return whole_number(line.substr(0, line.find_first_of(kBlanks)));
    }
    return std::nullopt;
}

}  // namespace lapidary::runtime
