// Phases: the caller publishes a task and rings; workers claim items until none is left, then report.
// Who has no part in the phases to come waits at a second bell, so that a small team wakes nobody else.
#include "runtime/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
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

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
    times_.resize(static_cast<size_t>(std::max(1, threads)));
    team_.store(std::max(1, threads));
    try {
        for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
        // The system has no more threads to give: size() tells the owner.
        team_.store(size());
    }
}

ThreadPool::~ThreadPool() {
    stop_.store(true);
    phase_.fetch_add(1);
    phase_.notify_all();
    team_.store(size());
    team_.notify_all();
    for (auto& w : workers_) w.join();
}

void ThreadPool::use(int threads) {
    const int now = team(), wanted = std::clamp(threads, 1, size());
    if (wanted == now) return;
    if (wanted > now) {
        running_.store(wanted - now, std::memory_order_relaxed);
        team_.store(wanted, std::memory_order_release);
        team_.notify_all();
        return await();  // those who come back count phases from here on
    }
    // An empty phase of the old team, in which its members read the new size: nobody leaves unseen.
    team_.store(wanted, std::memory_order_release);
    items_ = 0;
    next_.store(0, std::memory_order_relaxed);
    ring(now - 1);
}

void ThreadPool::claim(int thread) {
    if (!observer_) {
        for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < items_;) call_(task_, i, thread);
        return;
    }
    ThreadTimes times{now_ns(), 0, 0};
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < items_; ++times.items)
        call_(task_, i, thread);
    times.end_ns = now_ns();
    times_[static_cast<size_t>(thread)] = times;
}

void ThreadPool::report() {
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
}

// Sleeps until the team is large enough again for this thread.
void ThreadPool::rest(int thread) {
    for (int now; (now = team_.load(std::memory_order_acquire)) <= thread;)
        team_.wait(now, std::memory_order_acquire);
}

void ThreadPool::work(int thread) {
    uint32_t seen = 0;
    for (;;) {
        for (int i = 0; i < kSpins && phase_.load(std::memory_order_acquire) == seen; ++i) relax();
        phase_.wait(seen, std::memory_order_acquire);
        ++seen;  // a member skips no phase: the caller waits for every worker of the team
        if (stop_.load()) return;
        claim(thread);
        const bool leaves = team_.load(std::memory_order_relaxed) <= thread;
        report();
        if (!leaves) continue;
        rest(thread);
        if (stop_.load()) return;
        seen = phase_.load(std::memory_order_acquire);  // stands still until everybody has come back
        report();
    }
}

// Rings for one phase of this many workers, takes part, and waits for the last of them.
void ThreadPool::ring(int workers) {
    running_.store(workers, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    claim(0);
    await();
}

void ThreadPool::await() {
    for (int i = 0;; ++i) {
        const int left = running_.load(std::memory_order_acquire);
        if (left == 0) return;
        if (i < kSpins)
            relax();
        else
            running_.wait(left, std::memory_order_acquire);
    }
}

void ThreadPool::run_phase(int64_t items) {
    if (team() == 1 || items <= 1)
        claim(0);
    else
        ring(team() - 1);
}

void ThreadPool::run_erased(int64_t items, Call call, const void* task) {
    call_ = call;
    task_ = task;
    items_ = items;
    next_.store(0, std::memory_order_relaxed);
    if (!observer_) return run_phase(items);
    const int64_t begin_ns = now_ns();
    std::fill(times_.begin(), times_.end(), ThreadTimes{begin_ns, begin_ns, 0});
    run_phase(items);
    observer_->phase({begin_ns, now_ns(), {times_.data(), static_cast<size_t>(team())}});
}

}  // namespace lapidary::runtime
