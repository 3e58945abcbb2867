// Trimming by Python's white space.
#include "model/text/white_space.h"

#include "base/utf8.h"

namespace lapidary::model {

bool is_python_space(char32_t c) {
    if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
    if (c >= 0x2000 && c <= 0x200A) return true;
    switch (c) {
        case 0x85:
        case 0xA0:
        case 0x1680:
        case 0x2028:
        case 0x2029:
        case 0x202F:
        case 0x205F:
        case 0x3000: return true;
        default: return false;
    }
}

std::string_view trim_left(std::string_view text) {
    while (!text.empty()) {
        const Utf8Head head = utf8_head(text.substr(0, 4));
        if (head.state != Utf8State::complete || !is_python_space(head.code_point)) break;
        text.remove_prefix(head.length_bytes);
    }
    return text;
}

std::string_view trim_right(std::string_view text) {
    while (!text.empty()) {
        size_t begin = text.size() - 1;
        while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
        const Utf8Head head = utf8_head(text.substr(begin));
        const bool is_space = head.state == Utf8State::complete && is_python_space(head.code_point);
        if (!is_space || begin + head.length_bytes != text.size()) break;
        text.remove_suffix(head.length_bytes);
    }
    return text;
}

std::string_view trim(std::string_view text) { return trim_right(trim_left(text)); }

}  // namespace lapidary::model
