// The thread that waits for the signals; see interrupt.h.
#include "apps/common/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "apps/common/output.h"

namespace lapidary::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

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
            if (!ignored_by_parent(number)) sigaddset(&set, number);
        return set;
    }();
    return kSet;
}

int first_watched() {
    for (const int number : kSignals)
        if (sigismember(&watched(), number) == 1) return number;
    return 0;
}

void write_out(int fd, std::string_view text) {
    [[maybe_unused]] const auto n = write(fd, text.data(), text.size());
}

}  // namespace

Interrupt::Interrupt(const std::atomic<bool>& json) : json_(json) {
    if (first_watched() == 0) return;
    pthread_sigmask(SIG_BLOCK, &watched(), nullptr);
    watcher_ = std::thread([this] { wait_for_signal(); });
}

Interrupt::~Interrupt() {
    if (!watcher_.joinable()) return;
    closing_ = true;
    pthread_kill(watcher_.native_handle(), first_watched());
    watcher_.join();
}

int Interrupt::exit_code() const {
    constexpr int kShell = 128;  // how shells tell of a signal
    return signal_ == 0 ? cli::exit_code(Errc::cancelled) : kShell + signal_;
}

void Interrupt::leave() const {
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
        signal_ = number;
        if (!stoppable_ || source_.stop_requested()) leave();
        source_.request_stop();
    }
}

}  // namespace lapidary::cli
