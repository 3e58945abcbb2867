// The line of sessions at one device: in order, and left at once by whoever is cancelled.
#include "model/turns.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using lapidary::model::Turn;
using lapidary::model::Turns;

TEST_CASE("turns: one holder at a time") {
    Turns turns;
    int inside = 0, most = 0, total = 0;  // guarded by the turn
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 200; ++n) {
                const Turn turn(turns, {});
                most = std::max(most, ++inside);
                ++total;
                --inside;
            }
        });
    threads.clear();
    CHECK(most == 1);
    CHECK(total == 800);
}

TEST_CASE("turns: cancelled while somebody else holds the device, and the line moves on without it") {
    Turns turns;
    std::stop_source cancel;
    std::atomic<bool> served{false};
    std::jthread later;
    {
        const Turn held(turns, {});
        bool got = true;
        std::jthread waiting([&] { got = static_cast<bool>(Turn(turns, cancel.get_token())); });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        later = std::jthread([&] { served = static_cast<bool>(Turn(turns, {})); });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        cancel.request_stop();
        waiting.join();  // returns while the turn is held
        CHECK(!got);
        CHECK(!served);
    }
    later.join();
    CHECK(served);
    CHECK(static_cast<bool>(Turn(turns, {})));
}
