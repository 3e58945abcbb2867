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

// Notices a suspension since it was made.
class SleepWatch {
  public:
    explicit SleepWatch(const Clocks& clocks = {}) : clocks_(clocks), start_(apart()) {}
    bool slept() const { return apart().least - start_.most > std::chrono::milliseconds(5); }

  private:
    struct Apart {  // the thread may lose its processor between two reads
        std::chrono::nanoseconds least, most;
    };
    Apart apart() const {
        const auto before = clocks_.monotonic(), boot = clocks_.boot(), after = clocks_.monotonic();
        return {boot - after, boot - before};
    }

    Clocks clocks_;
    Apart start_;
};

// What `measure` returns, measured again as long as the machine slept meanwhile.
template <class Measure>
auto awake(const Measure& measure, const Clocks& clocks = {}) {
    for (;;) {
        const SleepWatch watch(clocks);
        auto result = measure();
        if (!watch.slept()) return result;
    }
}

}  // namespace lapidary::runtime
