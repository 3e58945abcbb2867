// Every item once, whatever the team; phases in a row; items seen by all after run() returns.
#include "runtime/cpu/thread_pool.h"

#include <doctest/doctest.h>
#include <pthread.h>

#include <numeric>
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
