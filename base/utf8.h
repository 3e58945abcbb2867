// Characters of a text in UTF-8: which are whole, where it is broken, where it may be cut.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lapidary {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";         // some editors begin texts with it

// What the bytes at the start of a text are.
enum class Utf8State { complete, incomplete, invalid };

struct Utf8Head {
    Utf8State state = Utf8State::invalid;
    size_t length_bytes = 0;  // of the character if complete, of what is there if incomplete, else 1
    char32_t code_point = 0;  // if complete
};

// The first character of a non-empty text. Overlong forms, surrogates and values above U+10FFFF are invalid.
Utf8Head utf8_head(std::string_view text);

bool valid_utf8(std::string_view text);
// Offset of the first byte that is not part of a valid character; npos if there is none.
size_t find_invalid_utf8(std::string_view text);

// The first characters of the text, as many as begin within `limit` bytes: none is cut.
std::string_view first_bytes(std::string_view text, size_t limit);

std::string without_byte_order_mark(std::string text);

}  // namespace lapidary
