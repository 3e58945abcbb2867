// White space as Python's str.isspace() sees it (includes U+001C..U+001F, U+0085 and U+00A0): the chat
// template trims as str.strip() does.
#pragma once

#include <string_view>

namespace lapidary::model {

bool is_python_space(char32_t code_point);
std::string_view trim_left(std::string_view text);
std::string_view trim_right(std::string_view text);
std::string_view trim(std::string_view text);  // str.strip()

}  // namespace lapidary::model
