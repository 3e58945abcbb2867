// The thread that waits for the signals; see interrupt.h.
#include "apps/common/interrupt.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "apps/common/output.h"

namespace lapidary::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};

// A shell starts background jobs with SIGINT ignored, nohup does it with SIGHUP; that wish stands.
bool ignored_by_parent(int number) {
    struct sigaction action = {};
    return sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// The same for the life of the program: asked before anything changes a handler.
const sigset_t& watched() {
    static const sigset_t kSet = [] {
        sigset_t set;
        sigemptyset(&set);
        for (const int number : kSignals)
            if (number == SIGWINCH || !ignored_by_parent(number)) sigaddset(&set, number);
        return set;
    }();
    return kSet;
}

void write_out(int fd, std::string_view text) {
    [[maybe_unused]] const auto n = write(fd, text.data(), text.size());
}

}  // namespace

Interrupt::Interrupt(const std::atomic<bool>& json) : json_(json), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    pthread_sigmask(SIG_BLOCK, &watched(), nullptr);
    watcher_ = std::thread([this] { wait_for_signal(); });
}

Interrupt::~Interrupt() {
    closing_ = true;
    pthread_kill(watcher_.native_handle(), SIGWINCH);
    watcher_.join();
    close(wake_);
}

int Interrupt::exit_code() const {
    constexpr int kShell = 128;  // how shells tell of a signal
    return signal_ == 0 ? cli::exit_code(Errc::cancelled) : kShell + signal_;
}

bool Interrupt::asks_to_end() const { return signal_ != 0 && signal_ != SIGINT; }

void Interrupt::rearm() {
    const std::lock_guard lock(lock_);
    uint64_t ignored = 0;
    while (read(wake_, &ignored, sizeof ignored) > 0) continue;
    source_ = std::stop_source();
    signal_ = 0;
}

void Interrupt::before_leaving(std::function<void()> restore) {
    const std::lock_guard lock(lock_);
    restore_ = std::move(restore);
}

void Interrupt::wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] const auto n = write(wake_, &one, sizeof one);
}

void Interrupt::leave() {
    if (restore_) restore_();
    // Ends a dimmed or half-written line, so that the shell's prompt starts clean.
    if (isatty(STDERR_FILENO) != 0)
        write_out(STDERR_FILENO, is_capable_terminal(STDERR_FILENO) ? "\x1b[0m\n" : "\n");
    // Work that was asked to stop before says so itself.
    if (json_ && !source_.stop_requested())
        write_out(STDOUT_FILENO,
                  "{\"error\":{\"code\":\"cancelled\",\"message\":\"interrupted\",\"hint\":\"\"}}\n");
    _exit(exit_code());
}

void Interrupt::wait_for_signal() {
    int number = 0;
    while (sigwait(&watched(), &number) == 0 && !closing_) {
        if (number == SIGWINCH) {
            resized_ = true;
            wake();
            continue;
        }
        const std::lock_guard lock(lock_);
        signal_ = number;
        if (!stoppable_ || source_.stop_requested()) leave();
        source_.request_stop();
        wake();
    }
}

}  // namespace lapidary::cli
