// POSIX reading; see files.h.
#include "apps/common/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "apps/common/output.h"
#include "base/try.h"
#include "base/utf8.h"
#include "lapidary/lapidary.h"

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

// Without a mark: half of the first bytes are NUL, all of them at even or all at odd places, as Latin letters are.
bool looks_like_utf16(std::string_view text) {
    constexpr size_t kEnough = 4096;
    const size_t size = std::min(text.size(), kEnough);
    size_t zeros[2] = {0, 0};
    for (size_t i = 0; i < size; ++i) zeros[i % 2] += text[i] == '\0';
    const size_t most = std::max(zeros[0], zeros[1]), least = std::min(zeros[0], zeros[1]);
    return size >= 4 && most * 4 >= size && least * 8 <= most;
}

}  // namespace

bool stdin_is_terminal() { return isatty(STDIN_FILENO) != 0; }

Result<void> check_stdin() {
    struct stat info = {};
    if (fstat(STDIN_FILENO, &info) == 0 && S_ISDIR(info.st_mode)) return cannot("read", "standard input", EISDIR);
    return {};
}

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

Result<void> check_plain_text(std::string_view text, std::string_view name) {
    const auto refuse = [name](std::string_view what, std::string hint) {
        return Error{Errc::invalid_argument, fmt::format("{} {}", name, what), std::move(hint)};
    };
    constexpr const char* kConvert = "convert it to UTF-8: iconv -f UTF-16 -t UTF-8 FILE";
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff") || looks_like_utf16(text))
        return refuse("is UTF-16 text; UTF-8 is read", kConvert);
    const Result<void> checked = check_text(text, name);
    const bool other_kind = !checked && checked.error().message.find("UTF-8") == std::string::npos;
    if (other_kind)
        return Error{checked.error().code, checked.error().message,
                     "give text here, pictures with --image FILE, recordings with --audio FILE"};
    if (const size_t nul = text.find('\0'); nul != text.npos)
        return refuse(fmt::format("is no text: the byte at offset {} is NUL", nul), "give text in UTF-8");
    return checked;
}

Result<std::string> read_plain_text(const std::string& name) {
    LAP_ASSIGN(std::string text, read_text(name));
    text = without_byte_order_mark(std::move(text));
    LAP_TRY(check_plain_text(text, name == "-" ? "standard input" : name));
    return text;
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

}  // namespace lapidary::cli
