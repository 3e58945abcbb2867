// Lists in messages, no longer than people read.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

namespace lapidary {

// a, b, c and 5 more: of texts or numbers.
template <class List>
std::string short_list(const List& items, size_t shown = 8) {
    std::string out;
    size_t count = 0;
    for (const auto& item : items) {
        if (count++ >= shown) continue;
        if (count > 1) out += ", ";
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(item)>>)
            out += std::to_string(item);
        else
            out += item;
    }
    if (count > shown) out += " and " + std::to_string(count - shown) + " more";
    return out;
}

}  // namespace lapidary
