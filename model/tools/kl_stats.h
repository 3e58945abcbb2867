// How far one model's predictions are from another's: Kullback-Leibler divergence and what goes with it,
// gathered position by position. Arithmetic only: who computes the rows of logits is quality.cpp's business
// (two whole models) or the packer's (two models layer by layer).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lapidary/result.h"
#include "lapidary/tools.h"

namespace lapidary::model {

// log of sum of exp(row), in double.
double log_sum_exp(std::span<const float> row);

// One position, compared.
struct KlSample {
    double kl = 0;                               // nats
    bool same_top = false;                       // the likeliest token is the same
    bool has_target = false;                     // whether the next token is known
    double base_logprob = 0, other_logprob = 0;  // of the target
};

// KL(base || other) = sum p (log p - log q), p = softmax(base), q = softmax(other). target: the token that
// follows, -1 when there is none. Rows of one length; values that are no numbers give a kl that is none.
KlSample compare_rows(std::span<const float> base, std::span<const float> other, int32_t target);

// The mean of values and its standard error: sample deviation / sqrt(count); error 0 for fewer than two.
Estimate mean_of(std::span<const double> values);
// The value that the share `q` of all lies below, interpolated between neighbours; 0 of none. `sorted`
// ascends.
double quantile(std::span<const double> sorted, double q);

// The error for a row of logits that is not finite.
Error no_numbers(int64_t position);

class KlStats {
  public:
    // An error when a row holds values that are no numbers, or the rows do not fit each other or the target.
    Result<void> add(std::span<const float> base, std::span<const float> other, int32_t target);
    Result<void> add(const KlSample& sample);

    int64_t count() const { return static_cast<int64_t>(kl_.size()); }
    Divergence figures() const;

  private:
    std::vector<double> kl_, same_top_;         // per position
    std::vector<double> base_nll_, other_nll_;  // per target
};

}  // namespace lapidary::model
