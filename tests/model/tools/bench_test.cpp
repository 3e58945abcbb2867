// The bench's bookkeeping; its speeds are nobody's promise here.
#include <doctest/doctest.h>

#include <algorithm>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::test;

TEST_CASE("bench: one row per test and depth, with consistent figures and repeatable logits") {
    BenchOptions o;
    o.synthetic = "tiny";
    o.prompt = {16, 40};
    o.generate = {3};
    o.depth = {0, 70};
    o.repetitions = 2;
    o.engine.threads = 2;
    const auto rows = [&] {
        std::vector<BenchRow> out;
        unwrap(bench(o, [&](const BenchRow& row) {
            out.push_back(row);
            return Flow::go;
        }));
        return out;
    };
    const auto first = rows(), second = rows();
    REQUIRE(first.size() == 6);
    const char* const names[] = {"pp16", "pp40", "tg3", "pp16", "pp40", "tg3"};
    for (size_t i = 0; i < 6; ++i) {
        const BenchRow& r = first[i];
        CHECK(r.test == names[i]);
        CHECK(r.depth == (i < 3 ? 0 : 70));
        CHECK(r.reps == 2);
        CHECK(r.tps_median > 0);
        CHECK(r.gbps > 0);
        CHECK(r.gmacs > 0);
        CHECK(r.threads == 2);
        CHECK(r.type == "q4_0");
        CHECK(r.model_bytes > 0);
        CHECK(r.peak_rss_bytes > r.model_bytes);
        CHECK(r.logits_hash == second[i].logits_hash);
    }
    CHECK(first[0].logits_hash != first[1].logits_hash);
    for (const BenchRow& r : first) {
        CHECK(r.machine_gbps > 0);
        CHECK(r.machine_gmacs > 0);
        CHECK(r.pct_bandwidth > 0);
        CHECK(r.pct_int8_peak > 0);
        CHECK(r.ns.size() == 2);
        CHECK((r.ttft_ns > 0) == (r.n_prompt > 0));
        CHECK((r.token_p95_ns > 0) == (r.n_gen > 0));
        CHECK(r.token_p95_ns >= r.token_p50_ns);
        CHECK(!r.compiler.empty());
        CHECK(r.version == version());
        CHECK(r.probe_bytes > 0);
        CHECK(r.profile.empty());
    }
}

TEST_CASE("bench: a made-up past is as long as a computed one, and the row says what it is") {
    BenchOptions o{.synthetic = "tiny", .prompt = {8}, .generate = {4}, .depth = {0, 5000}, .repetitions = 1};
    o.engine.threads = 2;
    std::vector<BenchRow> rows;
    for (const bool fill : {false, true}) {
        o.fill = fill;
        unwrap(bench(o, [&](const BenchRow& row) {
            rows.push_back(row);
            return Flow::go;
        }));
    }
    REQUIRE(rows.size() == 8);
    for (size_t i = 0; i < 4; ++i) {
        const BenchRow &computed = rows[i], &made_up = rows[i + 4];
        const auto says = [](const BenchRow& row) {
            return std::any_of(row.warnings.begin(), row.warnings.end(),
                               [](const std::string& w) { return w.find("5000 tokens in front are made up") != std::string::npos; });
        };
        CHECK(!says(computed));
        CHECK(says(made_up) == (made_up.depth > 0));
        CHECK((computed.logits_hash == made_up.logits_hash) == (made_up.depth == 0));
    }
}

TEST_CASE("bench: progress names every repetition and ends at the whole work, and its answer cancels") {
    BenchOptions o{.synthetic = "tiny", .prompt = {8}, .generate = {9}, .depth = {0, 5}, .columns = {3}, .repetitions = 2};
    o.engine.threads = 2;
    std::vector<std::string> stages;
    uint64_t last = 0, whole = 0;
    int opened = 0, rows = 0;
    o.opened = [&](const ModelInfo& info) {
        CHECK(info.layers > 0);
        CHECK(stages.empty());
        ++opened;
    };
    o.progress = [&](std::string_view stage, uint64_t done, uint64_t total) {
        if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
        if (stages.size() == 1 && last == 0) whole = total;
        CHECK(total == whole);
        CHECK(done >= last);
        last = done;
        return true;
    };
    const auto sink = [&](const BenchRow&) {
        ++rows;
        return Flow::go;
    };
    unwrap(bench(o, sink));
    CHECK(opened == 1);
    CHECK(rows == 6);
    CHECK(last == whole);
    CHECK(stages == std::vector<std::string>{"1/12 pp8", "2/12 pp8", "3/12 tg9", "4/12 tg9", "5/12 cols3", "6/12 cols3",
                                             "7/12 pp8 @ d5", "8/12 pp8 @ d5", "9/12 tg9 @ d5", "10/12 tg9 @ d5",
                                             "11/12 cols3 @ d5", "12/12 cols3 @ d5"});
    o.opened = {};
    rows = 0;
    for (const uint64_t end : {uint64_t{0}, uint64_t{16 + 8}, whole}) {  // at once, within tokens, at the last report
        CAPTURE(end);
        o.progress = [&](std::string_view, uint64_t done, uint64_t) { return done < end; };
        CHECK(bench(o, sink).error().code == Errc::cancelled);
    }
    CHECK(rows == 0 + 1 + 5);
}

TEST_CASE("bench: steps of several columns cost what they cost beside a step of one, and say what they compute") {
    BenchOptions o{.synthetic = "tiny", .prompt = {}, .generate = {1}, .columns = {1, 4}, .repetitions = 2};
    o.engine.threads = 2;
    o.engine.research.profile = true;
    std::vector<BenchRow> rows;
    unwrap(bench(o, [&](const BenchRow& row) {
        rows.push_back(row);
        return Flow::go;
    }));
    REQUIRE(rows.size() == 3);
    CHECK(rows[1].test == "cols1");
    CHECK(rows[2].test == "cols4");
    for (const BenchRow& r : rows) {
        CHECK((r.step_ms > 0) == (r.columns > 0));
        CHECK((r.cost_ratio > 0) == (r.columns > 0));
        REQUIRE(!r.profile.empty());
        double share = 0;
        for (const ProfileRow& p : r.profile) share += p.share;
        CHECK(share == doctest::Approx(1));
    }
    CHECK(rows[2].cost_allowed >= 1);
    REQUIRE(rows[2].ns.size() == 2);
    const double a = static_cast<double>(rows[2].ns[0]), b = static_cast<double>(rows[2].ns[1]);
    CHECK(rows[2].tps_median == doctest::Approx((4e9 / a + 4e9 / b) / 2).epsilon(1e-4));  // ns are rounded
    CHECK(rows[2].step_ms == doctest::Approx((a + b) / 2e6).epsilon(1e-4));
    // The head serves every column: the profile of cols4 counts it once per step, 2 steps of 1 and 2 of 4 columns
    // in each repetition; depth and warm-up are not in it.
    const auto head = std::find_if(rows[2].profile.begin(), rows[2].profile.end(),
                                   [](const ProfileRow& p) { return p.op == "norm+matmul head"; });
    REQUIRE(head != rows[2].profile.end());
    CHECK(head->count == 8);
}

TEST_CASE("bench: a trace of all tests, whole or not at all") {
    ScratchFolder folder;
    BenchOptions o{.synthetic = "tiny", .prompt = {4}, .generate = {}, .repetitions = 1};
    o.trace = folder.path() / "trace.json";
    const auto none = [](const BenchRow&) { return Flow::go; };
    CHECK(bench(o, none).error().code == Errc::invalid_argument);  // no events were kept
    o.engine.research.trace_events = 50;
    const TraceReport report = unwrap(bench(o, none));
    CHECK(report.events == 50);
    CHECK(report.dropped > 0);
    CHECK(std::filesystem::file_size(o.trace) > 1000);
}

TEST_CASE("bench: tests shorter than the warm-up have room") {
    BenchOptions o;
    o.synthetic = "tiny";
    o.prompt = {2};
    o.generate = {};
    o.repetitions = 1;
    unwrap(bench(o, [](const BenchRow& row) {
        CHECK(row.test == "pp2");
        return Flow::go;
    }));
}

TEST_CASE("bench: impossible numbers and unknown names are refused") {
    const auto refused = [](BenchOptions o) {
        o.synthetic = o.synthetic.empty() ? "tiny" : o.synthetic;
        const auto r = bench(o, [](const BenchRow&) { return Flow::go; });
        REQUIRE(!r);
        CHECK(r.error().code == Errc::invalid_argument);
        CHECK(!r.error().hint.empty());
    };
    refused({.prompt = {0}});
    refused({.generate = {-1}});
    refused({.depth = {-5}});
    refused({.columns = {0}});
    refused({.repetitions = 0});
    refused({.synthetic = "70b"});
    refused({.type = "q9"});
    refused({.type = "iq4_xs"});
    refused({.layers = -1});
}

TEST_CASE("bench: what the options alone refuse is refused before weights are made") {
    const auto refused = [](const EngineOptions& engine) {
        BenchOptions options;
        options.engine = engine;
        options.synthetic = "12b";  // which takes half a minute, and more memory than some machines have
        options.type = "q4_0";
        const auto begin = std::chrono::steady_clock::now();
        const auto r = bench(options, [](const BenchRow&) { return Flow::go; });
        REQUIRE(!r);
        CHECK(r.error().code == Errc::invalid_argument);
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
    };
    refused({.context = 262145});
    EngineOptions level;
    level.research.cpu_level = "abacus";
    refused(level);
    EngineOptions threads;
    threads.threads = 100000;
    refused(threads);
}

TEST_CASE("bench: tests shorter than the warm-up run") {
    BenchOptions o{.synthetic = "tiny", .prompt = {3}, .generate = {2}, .repetitions = 1};
    o.engine.threads = 1;
    int rows = 0;
    unwrap(bench(o, [&](const BenchRow&) { return ++rows, Flow::go; }));
    CHECK(rows == 2);
}
