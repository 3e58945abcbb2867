// The bench's bookkeeping; its speeds are nobody's promise here.
#include <doctest/doctest.h>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"

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
    refused({.repetitions = 0});
    refused({.synthetic = "70b"});
    refused({.type = "q9"});
    refused({.type = "iq4_xs"});
    refused({.layers = -1});
}

TEST_CASE("bench: tests shorter than the warm-up run") {
    BenchOptions o{.synthetic = "tiny", .prompt = {3}, .generate = {2}, .repetitions = 1};
    o.engine.threads = 1;
    int rows = 0;
    unwrap(bench(o, [&](const BenchRow&) { return ++rows, Flow::go; }));
    CHECK(rows == 2);
}
