#include "runtime/cpu/awake.h"

#include <doctest/doctest.h>

#include <utility>

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
    for (const auto& [drift, want] : {std::pair{4, 1}, {6, 2}}) {
        int runs = 0;
        CHECK(awake([&, ms = drift] { return slept += milliseconds(runs == 0 ? ms : 0), ++runs; }, kInvented) == want);
    }
    CHECK(awake([] { return 7; }) == 7);  // by this machine's own clocks
}
