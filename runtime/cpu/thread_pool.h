// A fixed crew of threads for phases of work. The caller takes part; between phases the others spin for
// a moment and then sleep. Never more threads than asked for; all are joined by the destructor. A phase may
// be left to the first few of the crew, and an observer may watch when each of them started and ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "runtime/trace/phases.h"

namespace lapidary::runtime {

class ThreadPool {
  public:
    explicit ThreadPool(int threads);  // size() is smaller when the system gives no more threads
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const { return static_cast<int>(workers_.size()) + 1; }

    // The phases that follow belong to the first `threads` of the crew (1 to size()); the others sleep.
    void use(int threads);
    int team() const { return team_.load(std::memory_order_relaxed); }

    // Watches every phase until it is replaced; null: nobody, and nothing is timed.
    void observe(PhaseObserver* observer) { observer_ = observer; }

    // Calls task(item, thread) once for every item in [0, items), each on one of team() threads, and
    // returns when all are done. Items are claimed in order, one at a time. Not re-entrant; one caller.
    template <class Task>
    void run(int64_t items, const Task& task) {
        run_erased(items, [](const void* t, int64_t item, int thread) { (*static_cast<const Task*>(t))(item, thread); },
                   &task);
    }

  private:
    using Call = void (*)(const void* task, int64_t item, int thread);
    void run_erased(int64_t items, Call call, const void* task);
    void run_phase(int64_t items);
    void claim(int thread);
    void ring(int workers);
    void await();             // until running_ is 0
    void work(int thread);    // what a worker's thread does all its life
    void rest(int thread);
    void report();            // one less running

    std::vector<std::thread> workers_;
    Call call_ = nullptr;
    const void* task_ = nullptr;
    int64_t items_ = 0;
    PhaseObserver* observer_ = nullptr;
    std::vector<ThreadTimes> times_;               // [size()], written only when observed
    alignas(64) std::atomic<int64_t> next_{0};
    alignas(64) std::atomic<uint32_t> phase_{0};   // grows by one per run; the sleepers' doorbell
    alignas(64) std::atomic<int> running_{0};      // workers that have not reported yet
    alignas(64) std::atomic<int> team_{1};         // threads that take part; the others wait for it to grow
    std::atomic<bool> stop_{false};
};

}  // namespace lapidary::runtime
