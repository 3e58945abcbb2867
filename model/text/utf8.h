// UTF-8 helpers shared by the tokenizer, the chat renderer and the reply parser: validity, code point
// borders, quoting in messages, and Python's idea of white space (the chat template trims as str.strip() does).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lapidary::model {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

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

// A text that may hold anything, for a message: in double quotes, control characters and broken bytes as '?', and no
// longer than kMaxQuotedBytes.
inline constexpr size_t kMaxQuotedBytes = 100;
std::string readable(std::string_view text);

// White space as Python's str.isspace() sees it (includes U+001C..U+001F, U+0085 and U+00A0).
bool is_python_space(char32_t code_point);
std::string_view trim_left(std::string_view text);
std::string_view trim_right(std::string_view text);
std::string_view trim(std::string_view text);  // str.strip()

}  // namespace lapidary::model
