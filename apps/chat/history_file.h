// What was typed in earlier chats, one JSON string per line, so that an entry may have several lines. Several programs may
// append to it at the same time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lapidary::cli {

inline constexpr size_t kHistoryEntries = 1000;  // that are kept

// lapidary/history in $XDG_STATE_HOME, else in ~/.local/state; empty: neither is known.
std::filesystem::path history_path();
// The newest entries, oldest first. A file that has become much longer is cut to them. What cannot be read is left out.
// Of a large file the last part is read.
std::vector<std::string> read_history(const std::filesystem::path& file);
// Readable to its owner alone. Without a word where it cannot be written or is very long: a history is a convenience.
void append_history(const std::filesystem::path& file, const std::string& entry);

}  // namespace lapidary::cli
