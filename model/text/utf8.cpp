// UTF-8 validity after the table of well-formed byte sequences in the Unicode standard (table 3-7), and
// trimming by Python's white space.
#include "model/text/utf8.h"

namespace lapidary::model {
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

std::string readable(std::string_view text) {
    std::string out = "\"";
    for (const bool whole = text.size() <= kMaxQuotedBytes; !text.empty();) {
        const Utf8Head head = utf8_head(text);
        const bool shown = head.state == Utf8State::complete && head.code_point >= 0x20 &&
                           (head.code_point < 0x7F || head.code_point > 0x9F);
        const size_t length_bytes = head.state == Utf8State::complete ? head.length_bytes : 1;
        if (!whole && out.size() + length_bytes > kMaxQuotedBytes) return out + "...\"";
        out += shown ? text.substr(0, length_bytes) : "?";
        text.remove_prefix(length_bytes);
    }
    return out + "\"";
}

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
