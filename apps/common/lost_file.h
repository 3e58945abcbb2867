// A mapped file that becomes shorter, or whose disk fails, while it is used: the kernel says so by a signal, whose
// default is to end the program without a word. The library leaves signals to programs; this one reports and ends.
#pragma once

#include <atomic>

namespace lapidary::cli {

// Installs the handler. `json`: whether the error goes to stdout as JSON; must live as long as the program.
void report_lost_files(const std::atomic<bool>& json);

}  // namespace lapidary::cli
