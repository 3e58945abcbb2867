// Rows from repetitions whose numbers are given.
#include "model/tools/bench/summary.h"

#include <doctest/doctest.h>

using namespace lapidary;
using namespace lapidary::model;
using Kind = BenchCase::Kind;

TEST_CASE("bench summary: shares are medians over pieces, each against its own probes") {
    std::vector<Repetition> repetitions(2);
    // The machine halves its speed; the work follows it, so the share stays.
    repetitions[0].pieces = {{1.0, {32'000'000'000, 1e11}, {40, 400}}, {2.0, {32'000'000'000, 1e11}, {20, 200}}};
    repetitions[1].pieces = {{1.0, {32'000'000'000, 1e11}, {40, 400}}};
    for (Repetition& r : repetitions) r.token_seconds = {0.1, 0.2, 0.3, 0.4};
    repetitions[1].hash = "abc";
    const BenchRow row = summarise({Kind::generate, 12, 5}, repetitions);
    CHECK(row.test == "tg12");
    CHECK(row.n_gen == 12);
    CHECK(row.n_prompt == 0);
    CHECK(row.depth == 5);
    CHECK(row.reps == 2);
    CHECK(row.pct_bandwidth == doctest::Approx(80));
    CHECK(row.pct_int8_peak == doctest::Approx(25));
    CHECK(row.machine_gbps == doctest::Approx(40));
    CHECK(row.tps_median == doctest::Approx((12 / 3.0 + 12) / 2));
    CHECK(row.gbps == doctest::Approx((64.0 / 3 + 32) / 2));
    CHECK(row.ns == std::vector<uint64_t>{3'000'000'000, 1'000'000'000});
    CHECK(row.token_p50_ns == doctest::Approx(2e8));
    CHECK(row.token_p95_ns == doctest::Approx(4e8));
    CHECK(row.ttft_ns == 0);
    CHECK(row.logits_hash == "abc");
}

TEST_CASE("bench summary: a step of columns against a step of one, and what arithmetic allows") {
    Repetition r;
    r.pieces = {{0.4, {7'000'000'000, 16 * 12e9 * 2}, {40, 400}}};
    r.step_seconds = 0.8;
    r.single_seconds = 0.2;
    r.step_macs = 16 * 12e9;
    const BenchRow row = summarise({Kind::columns, 16, 0}, {r});
    CHECK(row.columns == 16);
    CHECK(row.step_ms == doctest::Approx(800));
    CHECK(row.cost_ratio == doctest::Approx(4));
    CHECK(row.cost_allowed == doctest::Approx(16 * 12e9 / (0.75 * 400e9 * 0.2)));
    CHECK(row.tps_median == doctest::Approx(20));
    r.step_macs = 1e9;
    CHECK(summarise({Kind::columns, 2, 0}, {r}).cost_allowed == 1);
}
