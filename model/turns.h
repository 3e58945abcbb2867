// Sessions share one device and its step buffers: they take turns, first come first served.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace lapidary::model {

class Turns {
  public:
    // Waits for this caller's turn. False when cancelled while waiting; the place in the queue is then given up.
    bool take(const std::stop_token& cancel) {
        std::unique_lock lock(mutex_);
        const uint64_t ticket = next_++;
        if (!changed_.wait(lock, cancel, [&] { return serving_ == ticket && !busy_; })) {
            abandoned(ticket, lock);
            return false;
        }
        busy_ = true;
        return true;
    }
    void give() {
        const std::lock_guard lock(mutex_);
        busy_ = false;
        ++serving_;
        changed_.notify_all();
    }

  private:
    // A cancelled caller still waits until it is first in line (its predecessors hold the device for one
    // step at most), so that tickets stay consecutive.
    void abandoned(uint64_t ticket, std::unique_lock<std::mutex>& lock) {
        changed_.wait(lock, [&] { return serving_ == ticket && !busy_; });
        ++serving_;
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    uint64_t next_ = 0, serving_ = 0;
    bool busy_ = false;
};

}  // namespace lapidary::model
