// The base's rows of logits, kept until the other model has computed its own: whole while memory allows,
// else reduced to the likeliest tokens and one cell for the rest. A vocabulary of 262,144 makes a whole
// row 1 MB, a reduced one 2 KB. Used by quality.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/tools/kl_stats.h"

namespace lapidary::model {

inline constexpr int64_t kKeptTokens = 256;

// Merging cells never raises a divergence, so a reduced row gives a lower bound.
struct ReducedRow {
    std::vector<int32_t> ids;     // ascending
    std::vector<float> logprobs;  // of these
    double tail = 0;              // probability of all others
    int32_t top = 0;              // the likeliest token
    double target_logprob = 0;
};
ReducedRow reduce_row(std::span<const float> base, int32_t target, int64_t kept = kKeptTokens);
KlSample compare_reduced(const ReducedRow& base, std::span<const float> other, int32_t target);

class BaseRows {
  public:
    // `count` rows will come, of `vocab` logits each; those kept whole are spread evenly and fit `bytes`.
    BaseRows(int64_t count, int64_t vocab, uint64_t bytes);

    // Rows come in order. target: the token that follows. An error when a logit is not finite.
    Result<void> put(std::span<const float> base, int32_t target);
    // Row `index` against the other model's; once for every row.
    KlSample compare(int64_t index, std::span<const float> other, int32_t target);

    int64_t reduced() const { return count_ - whole_; }
    double tail_mass() const;      // mean over the reduced rows
    Estimate understated() const;  // what reducing lost where the whole row was there to tell

  private:
    int64_t whole_before(int64_t index) const;  // how many of the rows below `index` are whole
    bool is_whole(int64_t index) const { return whole_before(index + 1) > whole_before(index); }

    int64_t count_, vocab_, whole_, next_ = 0;
    std::vector<float> rows_;  // [whole_][vocab_]
    std::vector<ReducedRow> reduced_;
    std::vector<double> lost_;
};

}  // namespace lapidary::model
