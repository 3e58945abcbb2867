// UTF-8 validity after the table of well-formed byte sequences in the Unicode standard (table 3-7).
#include "base/utf8.h"

namespace lapidary {
namespace {

// Length and the range of the second byte that the first byte demands (length 0: no first byte).
struct Lead {
    size_t length_bytes;
    unsigned char second_low;
    unsigned char second_high;
};

Lead lead_of(unsigned char byte) {
    if (byte < 0x80) return {1, 0, 0};
    if (byte < 0xC2) return {0, 0, 0};
    if (byte < 0xE0) return {2, 0x80, 0xBF};
    if (byte == 0xE0) return {3, 0xA0, 0xBF};  // no overlong forms
    if (byte == 0xED) return {3, 0x80, 0x9F};  // no surrogates
    if (byte < 0xF0) return {3, 0x80, 0xBF};
    if (byte == 0xF0) return {4, 0x90, 0xBF};
    if (byte < 0xF4) return {4, 0x80, 0xBF};
    if (byte == 0xF4) return {4, 0x80, 0x8F};  // nothing above U+10FFFF
    return {0, 0, 0};
}

}  // namespace

Utf8Head utf8_head(std::string_view text) {
    const auto byte_at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    if (text.empty()) return {Utf8State::incomplete, 0, 0};
    const Lead lead = lead_of(byte_at(0));
    if (lead.length_bytes == 0) return {Utf8State::invalid, 1, 0};
    if (lead.length_bytes == 1) return {Utf8State::complete, 1, byte_at(0)};
    char32_t code_point = byte_at(0) & (0xFFu >> (lead.length_bytes + 1));
    for (size_t i = 1; i < lead.length_bytes; ++i) {
        if (i == text.size()) return {Utf8State::incomplete, i, 0};
        const unsigned char low = i == 1 ? lead.second_low : 0x80;
        const unsigned char high = i == 1 ? lead.second_high : 0xBF;
        if (byte_at(i) < low || byte_at(i) > high) return {Utf8State::invalid, 1, 0};
        code_point = (code_point << 6) | (byte_at(i) & 0x3Fu);
    }
    return {Utf8State::complete, lead.length_bytes, code_point};
}

size_t find_invalid_utf8(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        if (static_cast<unsigned char>(text[i]) < 0x80) {
            ++i;
            continue;
        }
        const Utf8Head head = utf8_head(text.substr(i, 4));
        if (head.state != Utf8State::complete) return i;
        i += head.length_bytes;
    }
    return std::string_view::npos;
}

bool valid_utf8(std::string_view text) { return find_invalid_utf8(text) == std::string_view::npos; }

std::string_view first_bytes(std::string_view text, size_t limit) {
    size_t end = 0;
    while (end < text.size() && end < limit) {
        const Utf8Head head = utf8_head(text.substr(end));
        end += head.state == Utf8State::complete ? head.length_bytes : 1;
    }
    return text.substr(0, end);
}

std::string without_byte_order_mark(std::string text) {
    if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    return text;
}

}  // namespace lapidary
