// The thread that waits for SIGINT; see interrupt.h.
#include "apps/common/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "apps/common/output.h"

namespace lapidary::cli {
namespace {

sigset_t interrupt_set() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    return set;
}

// A shell starts background jobs with SIGINT ignored; that wish stands.
bool ignored_by_parent() {
    struct sigaction action = {};
    return sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

[[noreturn]] void leave() {
    // Ends a dimmed or half-written line, so that the shell's prompt starts clean.
    if (isatty(STDERR_FILENO) != 0) {
        static constexpr char kReset[] = "\x1b[0m\n";
        const size_t skipped = is_capable_terminal(STDERR_FILENO) ? 0 : sizeof kReset - 2;
        [[maybe_unused]] const auto n = write(STDERR_FILENO, kReset + skipped, sizeof kReset - 1 - skipped);
    }
    _exit(exit_code(Errc::cancelled));
}

}  // namespace

Interrupt::Interrupt() {
    if (ignored_by_parent()) return;
    const sigset_t set = interrupt_set();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    watcher_ = std::thread([this] { wait_for_signal(); });
}

Interrupt::~Interrupt() {
    if (!watcher_.joinable()) return;
    closing_ = true;
    pthread_kill(watcher_.native_handle(), SIGINT);
    watcher_.join();
}

void Interrupt::wait_for_signal() {
    const sigset_t set = interrupt_set();
    int signal = 0;
    while (sigwait(&set, &signal) == 0 && !closing_) {
        if (!stoppable_ || source_.stop_requested()) leave();
        source_.request_stop();
    }
}

}  // namespace lapidary::cli
