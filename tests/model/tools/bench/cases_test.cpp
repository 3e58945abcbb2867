#include "model/tools/bench/cases.h"

#include <doctest/doctest.h>

using namespace lapidary;
using namespace lapidary::model;

TEST_CASE("bench cases: depth by depth, prompts, then tokens, then columns, the context holds the longest") {
    const BenchOptions o{.prompt = {64, 128}, .generate = {8}, .depth = {0, 100}, .columns = {16}};
    std::vector<std::string> names;
    for (const BenchCase& c : bench_cases(o)) names.push_back(c.name() + "@" + std::to_string(c.depth));
    CHECK(names == std::vector<std::string>{"pp64@0", "pp128@0", "tg8@0", "cols16@0", "pp64@100", "pp128@100",
                                            "tg8@100", "cols16@100"});
    std::vector<int64_t> work;
    for (const BenchCase& c : bench_cases(o)) work.push_back(c.work());
    CHECK(work == std::vector<int64_t>{64, 128, 64, 48, 64, 128, 64, 48});
    CHECK(BenchCase{BenchCase::Kind::columns, 2, 5}.work() == 2 * 16);  // no less than steps of one token
    CHECK(all_work(o) == 5 * (2 * (64 + 128 + 64 + 48)) + 100);  // a depth is filled once
    CHECK(bench_context(o) == 228);
    CHECK(bench_context({.prompt = {1}, .generate = {}}) == kWarmUpTokens);
    CHECK(bench_context({.prompt = {}, .generate = {}, .depth = {7}, .columns = {64}}) == 7 + kColumnSteps * 65);
}
