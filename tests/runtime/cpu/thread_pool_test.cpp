// Every item once, whatever the team; phases in a row; items seen by all after run() returns.
#include "runtime/cpu/thread_pool.h"

#include <doctest/doctest.h>
#include <pthread.h>

#include <algorithm>
#include <vector>

using lapidary::runtime::ThreadPool;

TEST_CASE("thread pool: every item runs exactly once, in any team, phase after phase") {
    for (const int threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        CHECK(pool.size() == threads);
        for (int64_t items : {0, 1, 2, 7, 1000}) {
            for (int phase = 0; phase < 50; ++phase) {
                std::vector<int> runs(static_cast<size_t>(items), 0);
                std::vector<std::atomic<int>> by_thread(static_cast<size_t>(threads));
                pool.run(items, [&](int64_t item, int thread) {
                    ++runs[static_cast<size_t>(item)];
                    ++by_thread[static_cast<size_t>(thread)];
                });
                int total = 0;
                for (const auto& n : by_thread) total += n;
                REQUIRE(total == items);
                for (const int n : runs) REQUIRE(n == 1);
            }
        }
    }
}

TEST_CASE("thread pool: sleeping workers wake for the next phase") {
    ThreadPool pool(3);
    std::atomic<int64_t> sum{0};
    for (int phase = 0; phase < 3; ++phase) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // long past the spinning
        pool.run(100, [&](int64_t item, int) { sum += item; });
    }
    CHECK(sum == 3 * 4950);
}

TEST_CASE("thread pool: a smaller team computes everything and leaves the others out, again and again") {
    ThreadPool pool(4);
    CHECK(pool.team() == 4);
    for (int round = 0; round < 200; ++round) {
        const int team = round % 5 + 1;  // 5: more than there are
        pool.use(team);
        REQUIRE(pool.team() == std::min(team, 4));
        std::atomic<int64_t> sum{0};
        std::atomic<int> highest{0};
        for (int phase = 0; phase < round % 3; ++phase)  // sometimes the team changes without a phase between
            pool.run(64, [&](int64_t item, int thread) {
                sum += item;
                for (int seen = highest; seen < thread && !highest.compare_exchange_weak(seen, thread);) {}
            });
        REQUIRE(sum == round % 3 * 2016);
        REQUIRE(highest < pool.team());
        if (round % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // all asleep
    }
    pool.use(1);  // destroyed while three rest
}

TEST_CASE("thread pool: an observer sees who worked and when") {
    struct Watch : lapidary::runtime::PhaseObserver {
        void phase(const lapidary::runtime::PhaseTimes& times) override {
            ++phases;
            team = times.threads.size();
            for (const auto& t : times.threads) {
                items += t.items;
                ordered = ordered && (t.items == 0 || (t.begin_ns >= times.begin_ns && t.end_ns >= t.begin_ns &&
                                                       t.end_ns <= times.end_ns));
            }
        }
        int phases = 0;
        size_t team = 0;
        int64_t items = 0;
        bool ordered = true;
    } watch;
    ThreadPool pool(3);
    pool.observe(&watch);
    const auto task = [](int64_t, int) { std::this_thread::sleep_for(std::chrono::microseconds(100)); };
    pool.run(30, task);
    pool.run(1, task);  // the caller alone
    CHECK(watch.team == 3);
    pool.use(2);
    pool.run(4, task);
    CHECK(watch.team == 2);
    CHECK(watch.phases == 3);
    CHECK(watch.items == 35);
    CHECK(watch.ordered);
    pool.observe(nullptr);
    pool.run(4, task);
    CHECK(watch.phases == 3);
}

TEST_CASE("thread pool: comes and goes without work") {
    for (int i = 0; i < 20; ++i) ThreadPool pool(4);
}

TEST_CASE("thread pool: a system without threads to give leaves a smaller team that works") {
    pthread_attr_t usual, impossible;
    REQUIRE(pthread_getattr_default_np(&usual) == 0);
    REQUIRE(pthread_attr_init(&impossible) == 0);
    REQUIRE(pthread_attr_setstacksize(&impossible, size_t{1} << 46) ==
            0);  // no address space holds four of them
    REQUIRE(pthread_setattr_default_np(&impossible) == 0);
    {
        ThreadPool pool(5);
        CHECK(pool.size() < 5);
        std::atomic<int> runs{0};
        pool.run(100, [&](int64_t, int) { ++runs; });
        CHECK(runs == 100);
    }
    REQUIRE(pthread_setattr_default_np(&usual) == 0);
}
