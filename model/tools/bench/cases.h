// Which measurements a bench makes, in order, and the context that they need. Used by model/tools/bench.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lapidary/tools.h"

namespace lapidary::model {

// One row of the result.
struct BenchCase {
    enum class Kind { prompt, generate, columns };
    Kind kind = Kind::prompt;
    int n = 0;      // tokens: of the prompt, generated, of one step
    int depth = 0;  // tokens in the cache before

    std::string name() const;  // pp512, tg32, cols4
    int64_t length() const;    // tokens that it adds behind its depth
    int64_t work() const;      // of one repetition behind its depth, for progress: see BenchOptions::progress
};

inline constexpr int kGeneratedWork = 8;  // in tokens of a prompt
inline constexpr int kWarmUpTokens = 16;
inline constexpr int kColumnSteps = 2;  // steps of n tokens in one repetition of a columns test

// invalid_argument names the list and the number.
Result<void> check_bench(const BenchOptions& options);
std::vector<BenchCase> bench_cases(const BenchOptions& options);
// For progress: of every repetition, and the filling of each depth.
int64_t all_work(const BenchOptions& options);
// Tokens of context that the longest case fills.
uint32_t bench_context(const BenchOptions& options);

}  // namespace lapidary::model
