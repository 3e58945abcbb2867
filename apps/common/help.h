// What a verb's help says, as a value: the screen, docs/cli.md, the manual page and the completions are made of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lapidary::cli {

struct HelpEntry {
    std::string title = {};                // a heading of a group, or an option:
    std::vector<std::string> names = {};   // "-p", "--prompt"
    std::string metavar = {};              // "TEXT"; empty: a flag
    std::string description = {};
    std::vector<std::string> values = {};  // what it takes, where that is a short list
    bool repeatable = false;               // each value counts
};
struct HelpPage {
    std::string verb, usage, summary;  // usage: what follows "lapidary VERB"
    std::vector<HelpEntry> entries;
    bool takes_arguments = false;  // beside its options
};
std::string usage_line(const HelpPage& page);  // "lapidary run [MODEL] ..."

// At most `width` columns, wherever words allow it.
std::string help_text(const HelpPage& page, size_t width);
// The text in lines of at most `width` columns; lines after the first start with `indent` blanks. `used`: columns
// that the first line has behind it.
std::string wrapped(std::string_view text, size_t width, size_t indent, size_t used);

}  // namespace lapidary::cli
