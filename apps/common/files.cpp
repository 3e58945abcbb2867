// POSIX reading and writing; see files.h.
#include "apps/common/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/common/output.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

Error cannot(std::string_view what, const std::string& name, int problem) {
    const Errc code = problem == ENOENT && what == "read" ? Errc::not_found : Errc::io_error;
    return {code, fmt::format("cannot {} {}: {}", what, name, std::strerror(problem))};
}

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ > STDERR_FILENO) close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

// Pipes with a name, devices and sockets could be waited for, or read, without end. A pipe without a name, which
// <(...) of a shell is, has its writer already.
Result<void> check_readable(int fd, const std::string& name) {
    struct stat info = {};
    struct statfs system = {};
    if (fstat(fd, &info) != 0) return cannot("read", name, errno);
    if (S_ISDIR(info.st_mode)) return cannot("read", name, EISDIR);
    const bool nameless = S_ISFIFO(info.st_mode) && fstatfs(fd, &system) == 0 && system.f_type == PIPEFS_MAGIC;
    if (nameless && fcntl(fd, F_SETFL, 0) != 0) return cannot("read", name, errno);  // no longer O_NONBLOCK
    if (S_ISREG(info.st_mode) || nameless) return {};
    return Error{Errc::io_error,
                 fmt::format("cannot read {}: it is {}", name,
                             S_ISFIFO(info.st_mode) ? "a named pipe" : "a device, not a regular file"),
                 "name a regular file, or - for standard input"};
}

}  // namespace

bool stdin_is_terminal() { return isatty(STDIN_FILENO) != 0; }

bool stdin_holds_something() {
    struct stat info = {};
    int waiting = 0;
    if (fstat(STDIN_FILENO, &info) != 0) return false;
    if (S_ISREG(info.st_mode)) return lseek(STDIN_FILENO, 0, SEEK_CUR) < info.st_size;
    return (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) && ioctl(STDIN_FILENO, FIONREAD, &waiting) == 0 &&
           waiting > 0;
}

Result<std::string> read_text(const std::string& name) {
    const std::string shown = name == "-" ? "standard input" : name;
    const Descriptor file(name == "-" ? STDIN_FILENO : open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.get() < 0) return cannot("read", shown, errno);
    if (name != "-") LAP_TRY(check_readable(file.get(), shown));
    std::string text;
    char buffer[1 << 16];
    for (;;) {
        const ssize_t n = read(file.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot("read", shown, errno);
        if (n == 0) return text;
        text.append(buffer, static_cast<size_t>(n));
        if (text.size() > kMaxTextBytes)
            return Error{Errc::io_error, fmt::format("{} is longer than {} bytes", shown, kMaxTextBytes)};
    }
}

Result<std::vector<int32_t>> read_token_ids(const std::string& file) {
    LAP_ASSIGN(const std::string text, read_text(file));
    const Json json = Json::parse(text, nullptr, false);
    const Json ids = json.is_object() && json.contains("ids") ? json["ids"] : json;
    const Error wrong{Errc::invalid_argument, fmt::format("{} holds no JSON list of token ids", file)};
    if (!ids.is_array()) return wrong;
    std::vector<int32_t> values;
    for (const Json& id : ids) {
        const int64_t value = id.is_number_integer() ? id.get<int64_t>() : -1;
        if (value < 0 || value > INT32_MAX)
            return Error{Errc::invalid_argument,
                         fmt::format("{}: entry {} is no token id: {}", file, values.size(), to_text(id))};
        values.push_back(static_cast<int32_t>(value));
    }
    return values;
}

Result<void> check_target(const std::filesystem::path& target) {
    struct stat info = {};
    if (stat(target.c_str(), &info) == 0) {
        if (S_ISDIR(info.st_mode)) return cannot("write", target.string(), EISDIR);
        if (!S_ISREG(info.st_mode))
            return Error{Errc::io_error, fmt::format("cannot write {}: it is not a regular file", target.string())};
    }
    const auto folder = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
    if (access(folder.c_str(), W_OK | X_OK) != 0) return cannot("write", target.string(), errno);
    return {};
}

std::string beginning_of(const std::filesystem::path& file, size_t bytes) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) return {};  // a pipe would be waited for
    std::ifstream stream(file, std::ios::binary);
    std::string text(bytes, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(bytes));
    text.resize(static_cast<size_t>(stream.gcount()));
    return text;
}

Result<void> check_overwrite(const std::filesystem::path& target, const Overwrite& what, bool force) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    const bool file = fs::is_regular_file(target, ignored), folder = fs::is_directory(target, ignored);
    if (force || !(file || folder) || fs::is_empty(target, ignored)) return {};
    if (what.same && what.same(target)) return {};
    const std::string kind = what.kind.empty() ? "" : " and is not " + what.kind;
    return Error{Errc::invalid_argument, fmt::format("{} exists{}", target.string(), kind),
                 "--force replaces it; another name keeps it"};
}

Result<ResultFile> ResultFile::create(const std::filesystem::path& target) {
    struct stat info = {};
    const bool exists = stat(target.c_str(), &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) return cannot("write", target.string(), EISDIR);
    if (exists && !S_ISREG(info.st_mode)) {
        // O_NONBLOCK: a pipe that nobody reads is an error, not a wait.
        const int fd = open(target.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) return cannot("write", target.string(), errno);
        fcntl(fd, F_SETFL, 0);
        return ResultFile(fd, target, {});
    }
    std::string pattern = target.string() + ".XXXXXX";
    const int fd = mkostemp(pattern.data(), O_CLOEXEC);
    if (fd < 0) return cannot("write", target.string(), errno);
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

Error ResultFile::failure(int problem) const { return cannot("write", target_.string(), problem); }

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
    // Some file systems report a full disk only here.
    if (!temporary_.empty() && fsync(fd_) != 0) return failure(errno);
    if (!temporary_.empty() && rename(temporary_.c_str(), target_.c_str()) != 0) return failure(errno);
    temporary_.clear();
    if (close(std::exchange(fd_, -1)) != 0) return failure(errno);
    return {};
}

}  // namespace lapidary::cli
