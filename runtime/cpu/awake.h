// Laptops are suspended in the middle of measurements: CLOCK_BOOTTIME goes on meanwhile, CLOCK_MONOTONIC stands still.
#pragma once

#include <time.h>

#include <chrono>

namespace lapidary::runtime {

template <clockid_t clock>
std::chrono::nanoseconds clock_time() {
    timespec t{};
    clock_gettime(clock, &t);
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

struct Clocks {  // tests have others
    std::chrono::nanoseconds (*boot)() = clock_time<CLOCK_BOOTTIME>;
    std::chrono::nanoseconds (*monotonic)() = clock_time<CLOCK_MONOTONIC>;
};

// What `measure` returns, measured again as long as the machine slept meanwhile.
template <class Measure>
auto awake(const Measure& measure, const Clocks& clocks = {}) {
    struct Apart {  // how far boot time is ahead; the thread may lose its processor between two reads
        std::chrono::nanoseconds least, most;
    };
    const auto apart = [&]() -> Apart {
        const auto before = clocks.monotonic(), boot = clocks.boot(), after = clocks.monotonic();
        return {boot - after, boot - before};
    };
    for (;;) {
        const Apart start = apart();
        auto result = measure();
        if (apart().least - start.most <= std::chrono::milliseconds(5)) return result;
    }
}

}  // namespace lapidary::runtime
