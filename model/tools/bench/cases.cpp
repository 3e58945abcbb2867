// Lists of lengths and depths to measurements; see cases.h.
#include "model/tools/bench/cases.h"

#include <algorithm>

#include "base/try.h"

namespace lapidary::model {

using Kind = BenchCase::Kind;

std::string BenchCase::name() const {
    const char* prefix = kind == Kind::prompt ? "pp" : kind == Kind::generate ? "tg" : "cols";
    return prefix + std::to_string(n);
}

int64_t BenchCase::length() const { return kind == Kind::columns ? int64_t{n + 1} * kColumnSteps : n; }

int64_t BenchCase::work() const {
    switch (kind) {
        case Kind::prompt: return n;
        case Kind::generate: return int64_t{n} * kGeneratedWork;
        case Kind::columns: break;
    }
    return int64_t{kGeneratedWork + std::max(kGeneratedWork, n)} * kColumnSteps;
}

Result<void> check_bench(const BenchOptions& o) {
    const auto check = [](const char* what, const std::vector<int>& values, int least) -> Result<void> {
        for (const int n : values)
            if (n < least)
                return Error{Errc::invalid_argument, std::string("bench: ") + what + " is " + std::to_string(n),
                             "use numbers above zero (depth may be zero)"};
        return {};
    };
    LAP_TRY(check("the number of repetitions", {o.repetitions}, 1));
    LAP_TRY(check("a prompt length", o.prompt, 1));
    LAP_TRY(check("a generation length", o.generate, 1));
    LAP_TRY(check("a number of columns", o.columns, 1));
    return check("a depth", o.depth, 0);
}

std::vector<BenchCase> bench_cases(const BenchOptions& o) {
    std::vector<BenchCase> cases;
    for (const int depth : o.depth) {
        for (const int n : o.prompt) cases.push_back({Kind::prompt, n, depth});
        for (const int n : o.generate) cases.push_back({Kind::generate, n, depth});
        for (const int n : o.columns) cases.push_back({Kind::columns, n, depth});
    }
    return cases;
}

int64_t all_work(const BenchOptions& o) {
    int64_t work = 0;
    const std::vector<BenchCase> cases = bench_cases(o);
    for (size_t i = 0; i < cases.size(); ++i) {
        work += cases[i].work() * o.repetitions;
        if (!o.fill && (i == 0 || cases[i].depth != cases[i - 1].depth)) work += cases[i].depth;
    }
    return work;
}

uint32_t bench_context(const BenchOptions& o) {
    int64_t longest = kWarmUpTokens;
    for (const BenchCase& c : bench_cases(o)) longest = std::max(longest, c.depth + c.length());
    return static_cast<uint32_t>(std::min<int64_t>(longest, UINT32_MAX));
}

}  // namespace lapidary::model
