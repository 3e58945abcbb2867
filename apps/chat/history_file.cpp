// See history_file.h.
#include "apps/chat/history_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/common/output.h"

namespace lapidary::cli {
namespace {

std::filesystem::path from_environment(const char* name) {
    const char* value = std::getenv(name);
    const std::filesystem::path path = value != nullptr ? value : "";
    return path.is_absolute() ? path : std::filesystem::path();  // as the XDG specification wants
}

// Whole or not at all: a line is one write. O_NONBLOCK: what is no file, as a pipe that nobody reads, is not waited for.
bool write_lines(const std::filesystem::path& file, int flags, const std::string& lines) {
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | flags, 0600);
    if (fd < 0) return false;
    struct stat info = {};
    const bool whole = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && write(fd, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
    return (close(fd) == 0) && whole;
}

constexpr std::uintmax_t kHistoryBytes = 1 << 20;  // that are read
constexpr size_t kEntryBytes = 1 << 16;            // a longer one would push the others out

std::string line_of(const std::string& entry) { return to_text(entry) + "\n"; }

void shorten(const std::filesystem::path& file, const std::vector<std::string>& entries) {
    std::filesystem::path temporary = file;
    temporary += "." + std::to_string(getpid());
    std::string lines;
    for (const std::string& entry : entries) lines += line_of(entry);
    std::error_code ignored;
    if (write_lines(temporary, O_EXCL, lines)) std::filesystem::rename(temporary, file, ignored);
    std::filesystem::remove(temporary, ignored);
}

}  // namespace

std::filesystem::path history_path() {
    if (const auto state = from_environment("XDG_STATE_HOME"); !state.empty()) return state / "lapidary/history";
    if (const auto home = from_environment("HOME"); !home.empty()) return home / ".local/state/lapidary/history";
    return {};
}

std::vector<std::string> read_history(const std::filesystem::path& file) {
    std::vector<std::string> entries;
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) return entries;
    std::ifstream stream(file);
    const std::uintmax_t size = std::filesystem::file_size(file, ignored);
    const bool large = !ignored && size > kHistoryBytes;
    std::string line;
    if (large) {
        stream.seekg(static_cast<std::streamoff>(size - kHistoryBytes));
        std::getline(stream, line);  // the rest of one that began before
    }
    size_t lines = 0;
    for (; std::getline(stream, line); ++lines) {
        const auto entry = nlohmann::json::parse(line, nullptr, false);
        if (entry.is_string()) entries.push_back(entry.get<std::string>());
    }
    if (entries.size() > kHistoryEntries) entries.erase(entries.begin(), entries.end() - kHistoryEntries);
    if (large || lines > 2 * kHistoryEntries) shorten(file, entries);
    return entries;
}

void append_history(const std::filesystem::path& file, const std::string& entry) {
    const std::string line = line_of(entry);
    if (line.size() > kEntryBytes) return;
    std::error_code ignored;
    std::filesystem::create_directories(file.parent_path(), ignored);
    write_lines(file, O_APPEND, line);
}

}  // namespace lapidary::cli
