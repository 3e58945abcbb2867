// Words for error messages about files: joins text and numbers, and quotes names that come from a file
// (they may hold anything, so what a terminal would obey is escaped and long ones are cut).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lapidary::runtime {

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

std::string in_quotes(std::string_view name, size_t limit = 200);

// Length of the UTF-8 sequence at the front of `text`, which is not empty; 0 when it is broken.
size_t utf8_length(std::string_view text);

// [2048, 256]
inline std::string shape_text(const std::vector<int64_t>& shape) {
    std::string out = "[";
    for (size_t i = 0; i < shape.size(); i++) out += concat(i ? ", " : "", shape[i]);
    return out + "]";
}

}  // namespace lapidary::runtime
