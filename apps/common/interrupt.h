// Ctrl-C. The first one stops what can be stopped (a reply, a measurement, writing a file); a second one,
// or one at a moment when nothing can be stopped, ends the program with exit code 130 at once.
// A thread of its own waits for the signal, because a signal handler may not touch a std::stop_source.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

namespace lapidary::cli {

class Interrupt {
  public:
    Interrupt();  // call before any other thread starts: threads inherit the blocked signal
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    std::stop_token token() const { return source_.get_token(); }
    bool requested() const { return source_.stop_requested(); }

    // While one of these lives, the first Ctrl-C asks the work to stop instead of ending the program.
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

    std::stop_source source_;
    std::atomic<bool> stoppable_{false}, closing_{false};
    std::thread watcher_;
};

}  // namespace lapidary::cli
