// The `format`s of strings that are served, as patterns. They are a little narrower than their standards: what is generated is
// of the format for every validator.
#pragma once

#include <string_view>

namespace lapidary::model {

// The pattern of a format; empty: it is not served.
std::string_view pattern_of_format(std::string_view format);
// Formats that say how a number is kept, not what it is.
bool is_number_format(std::string_view format);

}  // namespace lapidary::model
