// Divergence between rows of logits, and its statistics; see kl_stats.h.
#include "model/tools/kl_stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace lapidary::model {
namespace {

size_t top_of(std::span<const float> row) {
    return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

// exp of an estimated mean: d exp(x) = exp(x) dx.
Estimate exponential(const Estimate& x) {
    const double value = std::exp(x.value);
    return {value, value * x.error};
}

}  // namespace

double log_sum_exp(std::span<const float> row) {
    if (row.empty()) return -INFINITY;
    const double top = double{row[top_of(row)]};
    double sum = 0;
    for (const float v : row) sum += std::exp(double{v} - top);
    return top + std::log(sum);
}

KlSample compare_rows(std::span<const float> base, std::span<const float> other, int32_t target) {
    const double base_log_z = log_sum_exp(base), other_log_z = log_sum_exp(other);
    KlSample out;
    for (size_t i = 0; i < base.size(); ++i) {
        const double log_p = double{base[i]} - base_log_z, log_q = double{other[i]} - other_log_z;
        out.kl += std::exp(log_p) * (log_p - log_q);
    }
    if (out.kl < 0) out.kl = 0;  // rounding; a NaN stays
    out.same_top = top_of(base) == top_of(other);
    out.has_target = target >= 0;
    if (out.has_target) {
        out.base_logprob = double{base[static_cast<size_t>(target)]} - base_log_z;
        out.other_logprob = double{other[static_cast<size_t>(target)]} - other_log_z;
    }
    return out;
}

Estimate mean_of(std::span<const double> values) {
    if (values.empty()) return {};
    const auto n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    if (values.size() < 2) return {mean, 0};
    double squares = 0;
    for (const double v : values) squares += (v - mean) * (v - mean);
    return {mean, std::sqrt(squares / (n - 1) / n)};
}

double quantile(std::span<const double> sorted, double q) {
    if (sorted.empty()) return 0;
    const double place = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Error no_numbers(int64_t position) {
    return {Errc::bad_model_file, "the logits of position " + std::to_string(position) + " are no finite numbers",
            "its weights hold NaN or infinity, or it overflows on this text: try it with EngineOptions::precise"};
}

Result<void> KlStats::add(std::span<const float> base, std::span<const float> other, int32_t target) {
    if (base.size() != other.size() || base.empty())
        return Error{Errc::invalid_argument,
                     "rows of " + std::to_string(base.size()) + " and " + std::to_string(other.size()) +
                         " logits cannot be compared",
                     "compare models of one vocabulary"};
    if (target >= static_cast<int64_t>(base.size()))
        return Error{Errc::invalid_argument, "token " + std::to_string(target) +
                                                 " is outside the vocabulary of " +
                                                 std::to_string(base.size())};
    return add(compare_rows(base, other, target));
}

Result<void> KlStats::add(const KlSample& sample) {
    if (!std::isfinite(sample.kl) || !std::isfinite(sample.base_logprob) ||
        !std::isfinite(sample.other_logprob))
        return no_numbers(count());
    kl_.push_back(sample.kl);
    same_top_.push_back(sample.same_top ? 1 : 0);
    if (sample.has_target) {
        base_nll_.push_back(-sample.base_logprob);
        other_nll_.push_back(-sample.other_logprob);
    }
    return {};
}

Divergence KlStats::figures() const {
    Divergence out;
    out.positions = kl_.size();
    out.targets = base_nll_.size();
    out.mean = mean_of(kl_);
    std::vector<double> sorted = kl_;
    std::sort(sorted.begin(), sorted.end());
    out.median = quantile(sorted, 0.5);
    out.p90 = quantile(sorted, 0.9);
    out.p99 = quantile(sorted, 0.99);
    out.max = quantile(sorted, 1);
    out.same_top = mean_of(same_top_);

    std::vector<double> change, squared, nll_change;
    for (size_t i = 0; i < base_nll_.size(); ++i) {
        const double d = std::exp(-other_nll_[i]) - std::exp(-base_nll_[i]);
        change.push_back(d);
        squared.push_back(d * d);
        nll_change.push_back(other_nll_[i] - base_nll_[i]);
    }
    out.p_mean = mean_of(change);
    const Estimate square = mean_of(squared);
    const double rms = std::sqrt(square.value);
    out.p_rms = {rms, rms > 0 ? square.error / (2 * rms) : 0};  // d sqrt(x) = dx / (2 sqrt(x))
    out.perplexity = exponential(mean_of(other_nll_));
    out.base_perplexity = exponential(mean_of(base_nll_));
    out.ratio = exponential(mean_of(nll_change));
    return out;
}

}  // namespace lapidary::model
