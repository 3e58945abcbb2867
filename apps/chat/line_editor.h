// Lines typed at a terminal, edited by libedit: history and search, completion, pasted texts of several lines.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "apps/chat/line_reader.h"

namespace lapidary::cli {

// `fd`: the terminal to draw on. Null where libedit cannot use it. The entries of `history` can be come back to, as what
// remember() gets; that also goes to the file, where one is named.
std::unique_ptr<LineReader> line_editor(WatchedInput& input, Interrupt& interrupt, int fd, const std::vector<std::string>& history,
                                        std::filesystem::path file);

}  // namespace lapidary::cli
