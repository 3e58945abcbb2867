// Rows kept whole or reduced; see base_rows.h.
#include "model/tools/base_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace lapidary::model {

ReducedRow reduce_row(std::span<const float> base, int32_t target, int64_t kept) {
    const double log_z = log_sum_exp(base);
    ReducedRow out;
    std::vector<int32_t> order(base.size());
    std::iota(order.begin(), order.end(), 0);
    const int64_t n = std::min<int64_t>(kept, static_cast<int64_t>(base.size()));
    const auto logit = [&](int32_t id) { return base[static_cast<size_t>(id)]; };
    std::nth_element(order.begin(), order.begin() + (n - 1), order.end(), [&](int32_t a, int32_t b) {
        return logit(a) > logit(b) || (logit(a) == logit(b) && a < b);
    });
    for (auto id = order.begin() + n; id != order.end(); ++id)
        out.tail += std::exp(double{logit(*id)} - log_z);
    order.resize(static_cast<size_t>(n));
    std::sort(order.begin(), order.end());
    out.top = *std::max_element(order.begin(), order.end(),
                                [&](int32_t a, int32_t b) { return logit(a) < logit(b); });
    for (const int32_t id : order) out.logprobs.push_back(static_cast<float>(double{logit(id)} - log_z));
    out.ids = std::move(order);
    if (target >= 0) out.target_logprob = double{logit(target)} - log_z;
    return out;
}

KlSample compare_reduced(const ReducedRow& base, std::span<const float> other, int32_t target) {
    const double log_z = log_sum_exp(other);
    KlSample out;
    double tail = 0;  // summed, not 1 - the rest: it may be far below the rounding of 1
    size_t kept = 0;
    for (size_t i = 0; i < other.size(); ++i) {
        const double log_q = double{other[i]} - log_z;
        if (kept < base.ids.size() && static_cast<size_t>(base.ids[kept]) == i) {
            const double log_p = double{base.logprobs[kept++]};
            out.kl += std::exp(log_p) * (log_p - log_q);
        } else {
            tail += std::exp(log_q);
        }
    }
    if (base.tail > 0)
        out.kl += base.tail * std::log(base.tail / std::max(tail, std::numeric_limits<double>::min()));
    if (out.kl < 0) out.kl = 0;  // rounding; a NaN stays
    out.same_top = std::max_element(other.begin(), other.end()) - other.begin() == base.top;
    out.has_target = target >= 0;
    if (out.has_target) {
        out.base_logprob = base.target_logprob;
        out.other_logprob = double{other[static_cast<size_t>(target)]} - log_z;
    }
    return out;
}

BaseRows::BaseRows(int64_t count, int64_t vocab, uint64_t bytes)
    : count_(count),
      vocab_(vocab),
      whole_(static_cast<int64_t>(
          std::min(static_cast<uint64_t>(count), bytes / (static_cast<uint64_t>(vocab) * sizeof(float))))) {
    rows_.reserve(static_cast<size_t>(whole_ * vocab_));
    reduced_.reserve(static_cast<size_t>(count_ - whole_));
}

int64_t BaseRows::whole_before(int64_t index) const { return index * whole_ / count_; }

Result<void> BaseRows::put(std::span<const float> base, int32_t target) {
    if (!std::all_of(base.begin(), base.end(), [](float v) { return std::isfinite(v); }))
        return no_numbers(next_);
    if (is_whole(next_++))
        rows_.insert(rows_.end(), base.begin(), base.end());
    else
        reduced_.push_back(reduce_row(base, target));
    return {};
}

KlSample BaseRows::compare(int64_t index, std::span<const float> other, int32_t target) {
    const int64_t before = whole_before(index);
    if (!is_whole(index))
        return compare_reduced(reduced_[static_cast<size_t>(index - before)], other, target);
    const auto base = std::span<const float>(rows_).subspan(static_cast<size_t>(before * vocab_),
                                                            static_cast<size_t>(vocab_));
    const KlSample exact = compare_rows(base, other, target);
    if (reduced() > 0)
        lost_.push_back(exact.kl - compare_reduced(reduce_row(base, target), other, target).kl);
    return exact;
}

double BaseRows::tail_mass() const {
    double sum = 0;
    for (const ReducedRow& row : reduced_) sum += row.tail;
    return reduced_.empty() ? 0 : sum / static_cast<double>(reduced_.size());
}

Estimate BaseRows::understated() const { return mean_of(lost_); }

}  // namespace lapidary::model
