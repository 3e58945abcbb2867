// Phases: the caller publishes a task and rings; workers claim items until none is left, then report.
#include "runtime/cpu/thread_pool.h"

#include <system_error>

namespace lapidary::runtime {
namespace {

// About 50 microseconds of waiting before a thread gives its core back: longer than the gap between two
// phases of a token, shorter than anything a user would call busy.
constexpr int kSpins = 2000;

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
    try {
        for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
        // The system has no more threads to give: size() tells the owner.
    }
}

ThreadPool::~ThreadPool() {
    stop_.store(true);
    phase_.fetch_add(1);
    phase_.notify_all();
    for (auto& w : workers_) w.join();
}

void ThreadPool::claim(int thread) {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < items_;) call_(task_, i, thread);
}

void ThreadPool::work(int thread) {
    uint32_t seen = 0;
    for (;;) {
        for (int i = 0; i < kSpins && phase_.load(std::memory_order_acquire) == seen; ++i) relax();
        phase_.wait(seen, std::memory_order_acquire);
        ++seen;  // phases are never skipped: the caller waits for every worker
        if (stop_.load()) return;
        claim(thread);
        if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
    }
}

void ThreadPool::run_erased(int64_t items, Call call, const void* task) {
    call_ = call;
    task_ = task;
    items_ = items;
    next_.store(0, std::memory_order_relaxed);
    if (workers_.empty() || items <= 1) return claim(0);
    running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    claim(0);
    for (int i = 0;; ++i) {
        const int left = running_.load(std::memory_order_acquire);
        if (left == 0) return;
        if (i < kSpins)
            relax();
        else
            running_.wait(left, std::memory_order_acquire);
    }
}

}  // namespace lapidary::runtime
