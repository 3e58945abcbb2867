// Totals, waiting times from phases whose clock readings are given, and the bound on memory.
#include "runtime/trace/recorder.h"

#include <doctest/doctest.h>

#include <array>
#include <thread>

using namespace lapidary::runtime;

namespace {

void operation(Recorder& recorder, const char* name, const PhaseTimes& phase) {
    recorder.begin(name);
    recorder.phase(phase);
    recorder.end({1000, 5000.0});
}

}  // namespace

TEST_CASE("recorder: operations add up by name and kind of layer, waiting is told from working") {
    Recorder recorder(100);
    // The caller works 100 to 600; worker 1 from 150 to 1000; worker 2 came too late.
    const std::array<ThreadTimes, 3> times = {ThreadTimes{100, 600, 4}, ThreadTimes{150, 1000, 8},
                                              ThreadTimes{100, 100, 0}};
    const PhaseTimes phase{100, 1000, times};
    recorder.layer("sliding", 0);
    operation(recorder, "matmul q", phase);
    operation(recorder, "matmul q", phase);
    recorder.layer("global", 1);
    operation(recorder, "matmul q", phase);
    recorder.phase(phase);  // outside an operation: nobody's
    const auto totals = recorder.totals();
    REQUIRE(totals.size() == 2);
    for (const OpTotals& t : totals) {
        const double n = t.layer == "sliding" ? 2 : 1;
        CHECK(t.op == "matmul q");
        CHECK(t.count == static_cast<uint64_t>(n));
        CHECK(t.bytes == 1000 * t.count);
        CHECK(t.macs == doctest::Approx(5000 * n));
        CHECK(t.seconds > 0);
        CHECK(t.wait_seconds == doctest::Approx(400e-9 * n));
        CHECK(t.idle_seconds == doctest::Approx((50e-9 + 900e-9) * n));
    }
    CHECK(recorder.events() == 2 * 3 + 1);  // two slices each, and the layer that has ended
    recorder.clear_totals();
    CHECK(recorder.totals().empty());
}

TEST_CASE("recorder: off, it records nothing, longest first") {
    Recorder recorder(100);
    recorder.enable(false);
    recorder.begin("geglu");
    recorder.end({1, 1});
    CHECK(recorder.totals().empty());
    recorder.enable(true);
    recorder.begin("short");
    recorder.end({1, 1});
    recorder.begin("long");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    recorder.end({1, 1});
    REQUIRE(recorder.totals().size() == 2);
    CHECK(recorder.totals()[0].op == "long");
}

TEST_CASE("recorder: events beyond the limit are counted, not kept") {
    Recorder recorder(3);
    const std::array<ThreadTimes, 2> times = {ThreadTimes{10, 20, 1}, ThreadTimes{10, 20, 1}};
    for (int i = 0; i < 5; ++i) operation(recorder, "x", {10, 20, times});
    CHECK(recorder.events() == 3);
    CHECK(recorder.dropped_events() == 7);
    CHECK(recorder.totals()[0].count == 5);
}
