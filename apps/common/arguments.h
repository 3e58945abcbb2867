// A command line in its parts: options with their values, and what stands alone. Known to it is only which
// options exist and which take a value; what they mean is the verb's (command.h).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::cli {

// What is wrong with a command line: exit code 2.
inline Error usage(std::string message, std::string hint = {}) {
    return {Errc::invalid_argument, std::move(message), std::move(hint)};
}

// "a,b,,c" at commas: a, b, an empty one, c.
std::vector<std::string_view> split(std::string_view text, char mark);

struct SplitLine {
    std::vector<std::pair<std::string, std::string>> options;  // name as typed, value; in the order of the line
    std::vector<std::string> positionals;
    std::string unknown;  // the first argument that looks like an option and is none
    std::string unvalued;  // an option that needs a value and stands last
    std::string overvalued;  // a flag that was given one: --json=yes
};

// Takes --name value, --name=value, -n value, -n5 (a value that starts with a digit), -ab (two flags), and -name
// for --name. `--` ends the options; a lone `-` is no option. `takes_value`: unset for what is no option.
SplitLine split_line(const std::vector<std::string>& args,
                     const std::function<std::optional<bool>(const std::string& name)>& takes_value);

// "did you mean": the candidate that `word` begins or that is the fewest edits away, empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace lapidary::cli
