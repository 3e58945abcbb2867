// Quoting of names that come from files; see describe.h.
#include "runtime/file/describe.h"

#include <algorithm>

#include "lapidary/printable.h"

namespace lapidary::runtime {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

// Overlong forms and surrogates are told apart by the second byte.
size_t utf8_length(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : (lead & 0xf0) == 0xe0       ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || text.size() < length) return 0;
    for (size_t i = 1; i < length; i++)
        if (!is_continuation(text[i])) return 0;
    const auto second = length > 1 ? static_cast<unsigned char>(text[1]) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
    if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
    return length;
}

std::string in_quotes(std::string_view name, size_t limit) {
    size_t end = 0;  // a character is never cut
    while (end < name.size() && end < limit) end += std::max<size_t>(utf8_length(name.substr(end)), 1);
    return concat("'", printable(name.substr(0, end)), end < name.size() ? "...'" : "'");
}

}  // namespace lapidary::runtime
