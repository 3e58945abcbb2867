// Each doubt is raised by its cause, and a quiet machine raises none.
#include "model/tools/bench/warnings.h"

#include <doctest/doctest.h>

#include <functional>

using namespace lapidary::model;
using lapidary::runtime::Conditions;

namespace {

Repetition repetition(double seconds, double gbps = 40, double gmacs = 460) {
    Repetition r;
    r.pieces.push_back({seconds, {uint64_t{1} << 30, 0.76 * gmacs * 1e9 * seconds}, {gbps, gmacs}});
    r.probes = {{gbps, gmacs}, {gbps * 1.01, gmacs}};
    return r;
}

struct Situation {
    std::vector<Repetition> repetitions = {repetition(1), repetition(1.01), repetition(1), repetition(0.99)};
    Conditions before, after;
    Situation() {
        after.at_seconds = 10;
        after.governor = "performance";
        after.load = 2;
    }
};

// What the only warning begins with; "" where there is none.
std::string warning(const std::function<void(Situation&)>& change) {
    Situation s;
    change(s);
    const auto all = bench_warnings(s.repetitions, s.before, s.after, 2, "vpdpbusd ymm");
    REQUIRE(all.size() <= 1);
    return all.empty() ? "" : all[0];
}

}  // namespace

TEST_CASE("bench warnings: one cause, one warning") {
    CHECK(warning([](Situation&) {}).empty());
    CHECK(warning([](Situation& s) { s.repetitions[2] = repetition(1, 30); }).starts_with("noisy machine: its bandwidth varied by 25 %"));
    CHECK(warning([](Situation& s) { s.repetitions[2] = repetition(1, 40, 300); }).starts_with("noisy machine: its int8 peak"));
    CHECK(warning([](Situation& s) { s.repetitions = {repetition(1)}; s.repetitions[0].probes[1].gbps = 10; }).starts_with("noisy machine"));
    CHECK(warning([](Situation& s) { s.repetitions = {repetition(1.3), repetition(1), repetition(1.2)}; }).starts_with("slow first run: 18 %"));
    CHECK(warning([](Situation& s) { s.repetitions[3] = repetition(1.5); }) == "1 of 4 repetitions are outliers");
    CHECK(warning([](Situation& s) { s.repetitions = {repetition(0.001)}; }).starts_with("too short: a repetition took 1.0 ms"));
    CHECK(warning([](Situation& s) { s.after.load = 3.6; }).starts_with("other load: 3.6"));
    CHECK(warning([](Situation& s) { s.after.involuntary_switches = 2000; }) == "other load: each thread lost its processor 100 times per second");
    CHECK(warning([](Situation& s) { s.after.involuntary_switches = 500; }).empty());
    CHECK(warning([](Situation& s) { s.after.swapped_bytes = 5 << 20; }).starts_with("5 MiB"));
    CHECK(warning([](Situation& s) { s.before.swapped_in_pages = 7; s.after.swapped_in_pages = 9; }).find("2 pages") != std::string::npos);
    CHECK(warning([](Situation& s) { s.after.governor = "powersave"; }).find("powersave") != std::string::npos);
    CHECK(warning([](Situation& s) { s.after.governor = ""; }).empty());
    CHECK(warning([](Situation& s) { s.after.on_battery = true; }) == "running on battery");
}

TEST_CASE("bench warnings: kernels faster than the peak beside them mean that the probe is wrong") {
    const auto at = [](double share) {
        return warning([&](Situation& s) {
            for (Repetition& r : s.repetitions) r.pieces[0].cost.macs = share * 460e9 * r.pieces[0].seconds;
        });
    };
    CHECK(at(0.99).empty());
    CHECK(at(1.01).empty());  // noise
    CHECK(at(1.35).starts_with("the kernels reached 135 % of the int8 peak beside them: its probe (vpdpbusd ymm)"));
    CHECK(warning([](Situation& s) { s.repetitions[1].pieces[0].cost.macs *= 2; }).empty());  // one piece of four
}
