// Plans without weights: what an engine would do, here and on modelled laptops.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

PlanOptions twelve_b(const std::string& machine, uint32_t context) {
    PlanOptions o;
    o.synthetic = "12b";
    o.machine = machine;
    o.engine.context = context;
    o.engine.cache_folder = "none";
    return o;
}

uint64_t bytes_of(const Plan& plan, const std::string& region) {
    uint64_t bytes = 0;
    for (const PlanRegion& r : plan.regions)
        if (r.name.starts_with(region)) bytes += r.bytes;
    return bytes;
}

}  // namespace

TEST_CASE("plan: of a file it is the engine's own") {
    EngineOptions engine;
    engine.model = kTiny;
    engine.context = 2000;
    engine.cache_folder = "none";
    const Plan planned = unwrap(plan({.engine = engine})), opened = unwrap(Engine::open(engine)).plan();
    CHECK(planned.total_bytes == opened.total_bytes);
    CHECK(planned.placement.kind == opened.placement.kind);
    CHECK(planned.kv == "f16");
    CHECK(planned.model == "tiny");
    REQUIRE(planned.regions.size() == opened.regions.size());
    uint64_t total = 0;
    for (size_t i = 0; i < planned.regions.size(); ++i) {
        CHECK(planned.regions[i].bytes == opened.regions[i].bytes);
        total += planned.regions[i].bytes;
    }
    CHECK(total == planned.total_bytes);
    CHECK(planned.layers.size() == 1);
    CHECK(planned.layers[0].last == 7);
    CHECK(!planned.layers[0].gpu);
}

TEST_CASE("plan: the 12B in 16 GB, at every length that was promised") {
    // 10.9 G weights of 4.5 bits, the tied table in Q6_K (6.5625 bits).
    const Plan at_32k = unwrap(plan(twelve_b("zen4-cpu-16g", 32768)));
    CHECK(bytes_of(at_32k, "weights") == doctest::Approx(10.9e9 * 4.5 / 8).epsilon(0.002));
    CHECK(bytes_of(at_32k, "embedding") == doctest::Approx(262144.0 * 3840 * 6.5625 / 8).epsilon(0.001));
    CHECK(at_32k.fits);
    CHECK(at_32k.total_bytes < 8'200'000'000);
    PlanOptions longest = twelve_b("zen4-cpu-16g", 262144);
    longest.engine.kv = KvFormat::q8_0;
    const Plan at_256k = unwrap(plan(longest));
    CHECK(at_256k.fits);
    CHECK(at_256k.full_decode_tps < at_32k.full_decode_tps);
    CHECK(at_32k.full_decode_tps < at_32k.placement.decode_tps);
    CHECK(at_256k.total_bytes < 9'600'000'000);
    const Plan small = unwrap(plan(twelve_b("uhd-8g", 8192)));
    CHECK(!small.fits);
    CHECK(!small.remedies.empty());
}

TEST_CASE("plan: every modelled laptop has one, with all kinds of placement compared") {
    const auto machines = plan_machines();
    CHECK(machines.size() >= 12);
    for (const PlanMachine& m : machines) {
        CAPTURE(m.name);
        CHECK(!m.description.empty());
        const Plan planned = unwrap(plan(twelve_b(m.name, 8192)));
        CHECK(planned.machine == m.name);
        for (const PlanOption& o : planned.options) {
            CHECK(o.prefill_tps > 0);
            CHECK(o.decode_tps > 0);
        }
        if (m.name.find("cpu") == std::string::npos && m.name != "rtx4060-16g") CHECK(planned.options.size() == 5);
    }
    PlanOptions unknown = twelve_b("pdp-11", 8192);
    const auto refused = plan(unknown);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::invalid_argument);
    CHECK(refused.error().hint.find("780m-16g") != std::string::npos);
}
