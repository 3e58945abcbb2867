#include "runtime/cpu/awake.h"

#include <doctest/doctest.h>

using namespace lapidary::runtime;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

nanoseconds now, slept;  // since the machine started, awake and asleep

const Clocks kInvented{[] { return now + slept; }, [] { return now; }};

// Reading its boot time takes long: the thread waits for a processor.
const Clocks kBusy{[] { now += milliseconds(40); return now + slept; }, [] { return now += milliseconds(20); }};

}  // namespace

TEST_CASE("awake: a measurement across a suspension is taken again, and only such a one") {
    for (const Clocks& clocks : {kInvented, kBusy}) {
        int runs = 0;
        const auto measure = [&] {
            now += milliseconds(300);
            if (++runs < 3) slept += milliseconds(200);
            return runs;
        };
        CHECK(awake(measure, clocks) == 3);
        CHECK(awake(measure, clocks) == 4);
    }
}

TEST_CASE("awake: clocks that drift apart are no suspension") {
    const SleepWatch watch(kInvented);
    slept += milliseconds(4);
    CHECK(!watch.slept());
    slept += milliseconds(2);
    CHECK(watch.slept());
    CHECK(awake([] { return 7; }) == 7);  // by this machine's own clocks
}
