// A fixed team of threads for phases of work. The caller takes part; between phases the others spin for
// a moment and then sleep. Never more threads than asked for; all are joined by the destructor.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace lapidary::runtime {

class ThreadPool {
  public:
    explicit ThreadPool(int threads);  // size() is smaller when the system gives no more threads
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const { return static_cast<int>(workers_.size()) + 1; }

    // Calls task(item, thread) once for every item in [0, items), each on one of size() threads, and
    // returns when all are done. Items are claimed in order, one at a time. Not re-entrant; one caller.
    template <class Task>
    void run(int64_t items, const Task& task) {
        run_erased(items, [](const void* t, int64_t item, int thread) { (*static_cast<const Task*>(t))(item, thread); },
                   &task);
    }

  private:
    using Call = void (*)(const void* task, int64_t item, int thread);
    void run_erased(int64_t items, Call call, const void* task);
    void work(int thread);
    void claim(int thread);

    std::vector<std::thread> workers_;
    Call call_ = nullptr;
    const void* task_ = nullptr;
    int64_t items_ = 0;
    alignas(64) std::atomic<int64_t> next_{0};
    alignas(64) std::atomic<uint32_t> phase_{0};   // grows by one per run; the sleepers' doorbell
    alignas(64) std::atomic<int> running_{0};      // workers still inside the phase
    std::atomic<bool> stop_{false};
};

}  // namespace lapidary::runtime
