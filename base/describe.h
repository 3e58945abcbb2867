// Words for messages: joins text and numbers, and quotes what comes from a file (it may hold anything, so
// what a terminal would obey is escaped and long ones are cut).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lapidary {

template <class... Parts>
std::string concat(const Parts&... parts) {
    std::string out;
    auto add = [&out](const auto& part) {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>)
            out += std::to_string(part);
        else
            out += part;
    };
    (add(parts), ...);
    return out;
}

// Escaped, and cut behind `limit` bytes; never within a character.
std::string in_quotes(std::string_view name, size_t limit = 200, char quote = '\'');
// As JSON writes them: keys, values, pieces of a vocabulary.
inline std::string in_double_quotes(std::string_view text) { return in_quotes(text, 100, '"'); }

// a, b, c and 5 more: of texts or numbers, no longer than people read.
template <class List>
std::string short_list(const List& items, size_t shown = 8) {
    std::string out;
    size_t count = 0;
    for (const auto& item : items)
        if (count++ < shown) out += concat(count > 1 ? ", " : "", item);
    return count > shown ? concat(out, " and ", count - shown, " more") : out;
}

// [2048, 256]
inline std::string shape_text(const std::vector<int64_t>& shape) {
    std::string out = "[";
    for (size_t i = 0; i < shape.size(); i++) out += concat(i ? ", " : "", shape[i]);
    return out + "]";
}

}  // namespace lapidary
