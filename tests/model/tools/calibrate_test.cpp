// Rates are measured by this program's own steps, kept, and read by the next plan.
#include <doctest/doctest.h>

#include <filesystem>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::test;

TEST_CASE("calibrate: a plan knows the rates from then on, and a cancelled measurement leaves none") {
    const ScratchFolder folder;
    CalibrateOptions o;
    o.engine.cache_folder = folder.path();
    o.engine.threads = 1;
    o.engine.placement = Placement::cpu;
    o.preset = "tiny";
    o.seconds = 0.001;
    PlanOptions wanted;
    wanted.engine = o.engine;
    wanted.engine.model = kTiny;
    CHECK(unwrap(plan(wanted)).placement.decode_tps == 0);
    int told = 0;
    o.progress = [&](std::string_view, uint64_t, uint64_t) { return ++told < 2; };
    const auto stopped = calibrate(o);
    REQUIRE(!stopped);
    CHECK(stopped.error().code == Errc::cancelled);
    CHECK(unwrap(plan(wanted)).placement.decode_tps == 0);
    o.progress = {};
    const RatesReport report = unwrap(calibrate(o));
    CHECK(std::filesystem::exists(report.file));
    CHECK(report.gpu.empty());
    CHECK(report.cpu.read_gbps > 0);
    CHECK(report.cpu.few_gmacs > 0);
    CHECK(report.cpu.many_gmacs > 0);
    CHECK(report.cpu.many_gmacs_together == 0);
    CHECK(report.cpu.token_f16_gmacs > 0);
    CHECK(report.cpu.token_q8_gmacs > 0);
    const Plan known = unwrap(plan(wanted));
    CHECK(known.placement.decode_tps > 0);
    CHECK(known.placement.prefill_tps > 0);
    CHECK(known.why.back().find(report.time) != std::string::npos);
    wanted.engine.threads = 2;  // measured with one
    CHECK(unwrap(plan(wanted)).placement.decode_tps == 0);
    CHECK(unwrap(plan(wanted)).why.back().find("threads") != std::string::npos);
    o.engine.cache_folder = "none";
    CHECK(calibrate(o).error().code == Errc::invalid_argument);
}
