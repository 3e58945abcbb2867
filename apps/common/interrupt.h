// Ctrl-C, and what else asks a program to end: SIGTERM of `kill` and of a system that goes down, SIGHUP of a terminal
// that is closed. The first one stops what can be stopped (a reply, a measurement, writing a file); a second one, or
// one at a moment when nothing can be stopped, ends the program at once. Its exit code is then 128 + the signal.
// A thread of its own waits for the signals, because a signal handler may not touch a std::stop_source. It also waits for
// the word that the terminal has another size.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace lapidary::cli {

class Interrupt {
  public:
    // Construct before any other thread starts: threads inherit the blocked signals. `json`: whether an end at once
    // is reported on stdout as JSON.
    explicit Interrupt(const std::atomic<bool>& json);
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    std::stop_token token() const { return source_.get_token(); }
    bool requested() const { return source_.stop_requested(); }
    // What the program exits with after work that was stopped: 130 after Ctrl-C.
    int exit_code() const;

    // For programs that go on. The work that was stopped is over: the next signal stops what comes next.
    void rearm();
    bool asks_to_end() const;              // the signal was another than Ctrl-C, which may mean the work alone
    int wake_fd() const { return wake_; }  // readable when a signal or another size has come: poll it while waiting
    bool take_resized() { return resized_.exchange(false); }
    // What is to be done before the program ends at once: a terminal gets its modes back. Empty: nothing.
    void before_leaving(std::function<void()> restore);

    // While one of these lives, the first signal asks the work to stop instead of ending the program.
    class Scope {
      public:
        explicit Scope(Interrupt& owner) : owner_(owner) { owner_.stoppable_ = true; }
        ~Scope() { owner_.stoppable_ = false; }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

      private:
        Interrupt& owner_;
    };

  private:
    void wait_for_signal();
    void wake() const;
    [[noreturn]] void leave();

    const std::atomic<bool>& json_;
    std::mutex lock_;  // of the next two, against the thread
    std::stop_source source_;
    std::function<void()> restore_;
    std::atomic<bool> stoppable_{false}, closing_{false}, resized_{false};
    std::atomic<int> signal_{0};
    int wake_ = -1;
    std::thread watcher_;
};

}  // namespace lapidary::cli
