// POSIX writing, and what must not be written over; see results.h.
#include "apps/common/results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "apps/common/arguments.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

namespace fs = std::filesystem;

Error cannot_write(const fs::path& target, int problem) {
    return {Errc::io_error, fmt::format("cannot write {}: {}", target.string(), std::strerror(problem))};
}

bool is_stream_name(const fs::path& target) {
    const std::string name = target.string();
    return name == "/dev/stdout" || name == "/dev/stderr" || name.starts_with("/dev/fd/") ||
           name.starts_with("/proc/");
}

constexpr const char* kMark = "user.lapidary.rows";

// Size and time of the last change, which is another after every write.
std::string mark_of(const struct stat& info) {
    return fmt::format("{} {}.{:09}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

Result<void> check_target(const fs::path& target) {
    struct stat info = {};
    if (target.empty()) return usage("the name of the file to write is empty");
    if (target == "-") return usage("this cannot be written to standard output (-)", "name a file; ./- is one of that name");
    // What is there is another file's name, and would be replaced by a rename.
    const bool stream = is_stream_name(target), exists = !stream && stat(target.c_str(), &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) return cannot_write(target, EISDIR);
    if (stream || (exists && !S_ISREG(info.st_mode)))
        return Error{Errc::io_error, fmt::format("cannot write {}: it is not a regular file", target.string())};
    const auto folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
    if (access(folder.c_str(), W_OK | X_OK) != 0) return cannot_write(target, errno);
    return {};
}

std::string beginning_of(const fs::path& file, size_t bytes) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) return {};  // a pipe would be waited for
    std::ifstream stream(file, std::ios::binary);
    std::string text(bytes, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(bytes));
    text.resize(static_cast<size_t>(stream.gcount()));
    return text;
}

Result<void> check_overwrite(const fs::path& target, const Overwrite& what, bool force) {
    std::error_code ignored;
    const bool file = fs::is_regular_file(target, ignored), folder = fs::is_directory(target, ignored);
    if (!(file || folder) || fs::is_empty(target, ignored)) return {};
    if (folder)
        return usage(fmt::format("{} exists and is a folder with files in it", target.string()),
                     "remove it first, or give another name");
    if (force || (what.same && what.same(target))) return {};
    const std::string kind = what.kind.empty() ? "" : " and is not " + what.kind;
    return usage(fmt::format("{} exists{}", target.string(), kind), "--force replaces it; another name keeps it");
}

bool is_model_file(const fs::path& file) {
    constexpr std::string_view kGguf = "GGUF", kLapidary = "LAPIDARY";
    const std::string begin = beginning_of(file, kLapidary.size());
    return begin.starts_with(kGguf) || begin == kLapidary;
}

void Inputs::add_model(const fs::path& model) {
    std::error_code ignored;
    add("the model itself", model);
    whole_folder_ = fs::is_directory(model, ignored);
    model_folder_ = whole_folder_ ? model : model.has_parent_path() ? model.parent_path() : fs::path(".");
}

Result<void> Inputs::check(const std::string& option, const std::optional<std::string>& target) const {
    if (!target) return {};
    const auto refuse = [&](const std::string& what) {
        return usage(fmt::format("{} {} is {}", option, *target, what), "name another file to write");
    };
    std::error_code failed;
    const fs::path name = fs::weakly_canonical(*target, failed);
    const bool device = fs::is_character_file(name, failed);
    for (const Input& input : files_) {
        const bool same = !device && fs::equivalent(input.file, *target, failed);  // links of both kinds
        if (same || fs::weakly_canonical(input.file, failed) == name) return refuse(input.what);
    }
    if (!model_folder_.empty() && fs::exists(name, failed) && fs::equivalent(name.parent_path(), model_folder_, failed)) {
        if (whole_folder_) return refuse("a file of the model");
        if (is_model_file(name)) return refuse("a model's file, as other parts and projectors are");
    }
    return {};
}

Result<ResultFile> ResultFile::create(const fs::path& target) {
    if (is_standard_output(target)) {
        if (isatty(STDOUT_FILENO) != 0)
            return usage("standard output is a terminal, and this is no text", "name a file");
        const int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (fd < 0) return cannot_write(target, errno);
        return ResultFile(fd, target, {});
    }
    struct stat info = {};
    const bool exists = stat(target.c_str(), &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) return cannot_write(target, EISDIR);
    if (exists && !S_ISREG(info.st_mode)) {
        // O_NONBLOCK: a pipe that nobody reads is an error, not a wait.
        const int fd = open(target.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) return cannot_write(target, errno);
        fcntl(fd, F_SETFL, 0);
        return ResultFile(fd, target, {});
    }
    std::string pattern = target.string() + ".XXXXXX";
    const int fd = mkostemp(pattern.data(), O_CLOEXEC);
    if (fd < 0) return cannot_write(target, errno);
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, exists ? info.st_mode & 0777 : 0666 & ~mask);
    return ResultFile(fd, target, pattern);
}

ResultFile::ResultFile(ResultFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)) {}

ResultFile::~ResultFile() {
    if (fd_ < 0) return;
    close(fd_);
    if (!temporary_.empty()) unlink(temporary_.c_str());
}

Error ResultFile::failure(int problem) const { return cannot_write(target_, problem); }

Result<void> ResultFile::write(std::span<const float> values) {
    static_assert(std::endian::native == std::endian::little, "rows are written as they lie in memory");
    const char* bytes = reinterpret_cast<const char*>(values.data());
    size_t left = values.size_bytes();
    while (left > 0) {
        const ssize_t n = ::write(fd_, bytes, left);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failure(errno);
        bytes += n;
        left -= static_cast<size_t>(n);
    }
    return {};
}

Result<void> ResultFile::commit() {
    struct stat info = {};
    if (!temporary_.empty() && fstat(fd_, &info) == 0) {
        const std::string mark = mark_of(info);
        // Where no mark can be left, the next command asks for --force.
        [[maybe_unused]] const int ignored = fsetxattr(fd_, kMark, mark.data(), mark.size(), 0);
    }
    // Some file systems report a full disk only here.
    if (!temporary_.empty() && fsync(fd_) != 0) return failure(errno);
    if (!temporary_.empty() && rename(temporary_.c_str(), target_.c_str()) != 0) return failure(errno);
    temporary_.clear();
    if (close(std::exchange(fd_, -1)) != 0) return failure(errno);
    return {};
}

bool is_standard_output(const fs::path& target) { return target == "-" || target == "/dev/stdout"; }

bool was_written_here(const fs::path& file) {
    struct stat info = {};
    char mark[64];
    const ssize_t length = getxattr(file.c_str(), kMark, mark, sizeof mark);
    return length > 0 && stat(file.c_str(), &info) == 0 &&
           std::string_view(mark, static_cast<size_t>(length)) == mark_of(info);
}

}  // namespace lapidary::cli
