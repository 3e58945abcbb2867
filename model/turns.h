// Sessions share one device and its step buffers: they take turns, first come first served.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <stop_token>

namespace lapidary::model {

class Turns {
  public:
    // Waits for this caller's turn. False when cancelled while waiting; the place in the queue is then given up.
    bool take(const std::stop_token& cancel) {
        std::unique_lock lock(mutex_);
        const uint64_t ticket = next_++;
        if (!changed_.wait(lock, cancel, [&] { return serving_ == ticket && !busy_; })) {
            abandoned_.insert(ticket);  // skipped when the line reaches it
            return false;
        }
        busy_ = true;
        return true;
    }
    // Whether somebody stands behind who has the turn.
    bool others_wait() const {
        const std::lock_guard lock(mutex_);
        return next_ - serving_ - abandoned_.size() > 1;
    }
    void give() {
        const std::lock_guard lock(mutex_);
        busy_ = false;
        while (abandoned_.erase(++serving_) > 0) continue;
        changed_.notify_all();
    }

  private:
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    uint64_t next_ = 0, serving_ = 0;
    std::set<uint64_t> abandoned_;  // tickets not yet reached
    bool busy_ = false;
};

// One turn, given back at the end of the scope, whatever ends it. False: cancelled while waiting.
class Turn {
  public:
    Turn(Turns& turns, const std::stop_token& cancel) : turns_(turns), mine_(turns.take(cancel)), outer_(innermost_) {
        innermost_ = this;
    }
    ~Turn() {
        innermost_ = outer_;
        if (mine_) turns_.give();
    }
    // Whether this thread has a turn already: another one would wait for itself.
    static bool held_here(const Turns& turns) {
        for (const Turn* turn = innermost_; turn != nullptr; turn = turn->outer_)
            if (&turn->turns_ == &turns) return true;
        return false;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    explicit operator bool() const { return mine_; }

  private:
    Turns& turns_;
    bool mine_;
    const Turn* outer_;  // of the same thread
    static inline thread_local const Turn* innermost_ = nullptr;
};

}  // namespace lapidary::model
