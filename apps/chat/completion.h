// What Tab offers in a chat: commands, settings, files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lapidary::cli {

struct Completions {
    size_t typed = 0;                  // bytes in front of the cursor that every candidate begins with
    std::vector<std::string> words = {};  // sorted; a folder ends in /
    std::string common() const;        // what all of them have behind those
};
// `before`: the line up to the cursor.
Completions complete(std::string_view before);

}  // namespace lapidary::cli
