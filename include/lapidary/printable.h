// Text that came from elsewhere (names and metadata of files, a model's reply), made fit for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace lapidary {

enum class Lines { escape, keep };  // keep: line ends and tabs stay as they are

// The text with everything written out that a terminal would obey instead of show: control characters (\x1b, \n,
// \u009b), marks that turn the direction of what follows (\u202e), line and paragraph separators, and bytes that are
// no UTF-8 (\xff). Backslashes stay single, so it is for reading, not for parsing.
std::string printable(std::string_view text, Lines lines = Lines::escape);

}  // namespace lapidary
