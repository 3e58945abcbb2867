// Checked output and error reports; see output.h.
#include "apps/common/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/common/field_names.h"
#include "apps/common/text_width.h"
#include "lapidary/printable.h"

namespace lapidary::cli {
namespace {

// 0, or the errno of the write that failed.
int write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        text.remove_prefix(static_cast<size_t>(n));
    }
    return 0;
}

bool is_set(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
}

// 0: no terminal, or one that does not tell.
size_t columns_of(int fd) {
    winsize size = {};
    return isatty(fd) != 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

struct ErrorForm {
    Errc code;
    std::string_view name;  // as in the JSON form of errors
    int exit_code;
};
constexpr ErrorForm kErrorForms[] = {
    {Errc::ok, "ok", 0},
    {Errc::invalid_argument, "invalid_argument", 2},
    {Errc::not_found, "not_found", 1},
    {Errc::io_error, "io_error", 1},
    {Errc::model_not_found, "model_not_found", 3},
    {Errc::bad_model_file, "bad_model_file", 3},
    {Errc::unsupported_model, "unsupported_model", 3},
    {Errc::does_not_fit, "does_not_fit", 4},
    {Errc::out_of_memory, "out_of_memory", 4},
    {Errc::device_unavailable, "device_unavailable", 5},
    {Errc::device_lost, "device_lost", 5},
    {Errc::context_full, "context_full", 1},
    {Errc::media_unsupported, "media_unsupported", 1},
    {Errc::bad_grammar, "bad_grammar", 2},
    {Errc::bad_session_file, "bad_session_file", 1},
    {Errc::cancelled, "cancelled", 130},
    {Errc::internal, "internal", 1},
};
static_assert(std::size(kErrorForms) == static_cast<size_t>(Errc::internal) + 1, "one for each code");

const ErrorForm& form_of(Errc code) {
    const auto* found = std::find_if(std::begin(kErrorForms), std::end(kErrorForms) - 1,
                                     [code](const ErrorForm& form) { return form.code == code; });
    return *found;  // internal, where there is no other
}

constexpr size_t kPageWidth = 80;
constexpr std::string_view kClearLine = "\r\x1b[K";

}  // namespace

int exit_code(Errc code) { return form_of(code).exit_code; }

bool is_capable_terminal(int fd) {
    const char* term = std::getenv("TERM");
    return isatty(fd) != 0 && (term == nullptr || std::string_view(term) != "dumb");
}

Console::Console()
    : draws_(is_capable_terminal(STDERR_FILENO)), colour_(!is_set("NO_COLOR") && (draws_ || is_set("FORCE_COLOR"))) {}

bool Console::write(std::string_view text) {
    if (reader_gone_ || write_errno_ != 0) return false;
    clear();
    const int problem = write_all(STDOUT_FILENO, text);
    if (problem == EPIPE) reader_gone_ = true;
    if (problem != EPIPE) write_errno_ = problem;
    return problem == 0;
}

bool Console::write_json(const nlohmann::ordered_json& value) { return write(to_text(value) + "\n"); }

Result<void> Console::status() const {
    if (write_errno_ == 0) return {};
    return Error{Errc::io_error, fmt::format("cannot write to standard output: {}", std::strerror(write_errno_))};
}

bool Console::write_page(std::string_view text) { return write(printable(text, Lines::keep)); }

bool Console::write_reply(std::string_view text) {
    return write(isatty(STDOUT_FILENO) != 0 ? printable(text, Lines::keep) : std::string(text));
}

void Console::aside_reply(std::string_view text) const {
    aside(isatty(STDERR_FILENO) != 0 ? printable(text, Lines::keep) : std::string(text));
}

void Console::note(std::string_view line) const { aside(printable(line) + "\n"); }

void Console::aside(std::string_view text) const {
    if (quiet) return;
    clear();
    write_all(STDERR_FILENO, text);
}

void Console::draw(std::string_view line) const {
    if (!draws()) return;
    const size_t columns = columns_of(STDERR_FILENO);
    // The last column stays free: some terminals wrap there, and a wrapped line cannot be drawn over.
    const std::string_view shown = columns > 0 ? first_columns(line, columns - 1) : line;
    write_all(STDERR_FILENO, fmt::format("{}{}", kClearLine, shown));
    drawn_ = true;
}

void Console::clear() const {
    if (std::exchange(drawn_, false)) write_all(STDERR_FILENO, kClearLine);
}

size_t Console::help_width() const {
    const size_t columns = columns_of(STDOUT_FILENO);
    return columns > 0 ? std::min(columns, kPageWidth) : kPageWidth;
}

size_t Console::table_width() const { return columns_of(STDOUT_FILENO); }

size_t Console::note_width() const { return columns_of(STDERR_FILENO); }

void Console::dim(bool on) const {
    if (colour_) aside(on ? "\x1b[2m" : "\x1b[0m");
}

int Console::fail(const Error& raised) {
    clear();
    if (reader_gone_) return 0;
    const Error error = with_flags(raised);
    const std::string_view code = form_of(error.code).name;
    const bool reported_as_json =
        json && write_json({{"error", {{"code", code}, {"message", error.message}, {"hint", error.hint}}}});
    if (!reported_as_json) {
        const std::string hint = error.hint.empty() ? "" : fmt::format(" ({})", error.hint);
        write_all(STDERR_FILENO, printable(fmt::format("lapidary: {}{}", error.message, hint)) + "\n");
    }
    return exit_code(error.code);
}

std::string to_text(const nlohmann::ordered_json& value) {
    return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace lapidary::cli
