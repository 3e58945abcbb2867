// Costs of the operations; see op_cost.h.
#include "runtime/op_cost.h"

#include <algorithm>

namespace lapidary::runtime {
namespace {

// Keys and values of one position.
uint64_t position_bytes(const KvView& kv) { return static_cast<uint64_t>(kv.position_bytes()); }

}  // namespace

OpCost move_cost(const TensorView& x, int64_t times) {
    return {static_cast<uint64_t>(x.rows * x.cols * times) * sizeof(float), 0};
}

OpCost embed_cost(const TensorView& table, int64_t rows) {
    return {static_cast<uint64_t>(rows * kernels::row_bytes(table.format, table.cols)), 0};
}

OpCost product_cost(const TensorView& weights, RowRange range, int64_t columns) {
    const int64_t rows = range.end_of(weights) - range.begin;
    return {static_cast<uint64_t>(rows * kernels::row_bytes(weights.format, weights.cols)),
            static_cast<double>(rows) * static_cast<double>(weights.cols) * static_cast<double>(columns)};
}

OpCost store_cost(const KvView& kv, int64_t rows) { return {static_cast<uint64_t>(rows) * position_bytes(kv), 0}; }

OpCost attention_cost(const StepInputs& inputs, int64_t columns, const TensorView& q, const KvView& kv) {
    const int32_t *from = inputs.first(kv.kv_class), *to = inputs.last(kv.kv_class);
    int64_t pairs = 0, first = INT64_MAX, last = 0;
    for (int64_t t = columns - q.rows; t < columns; ++t) {
        pairs += to[t] - from[t];
        first = std::min<int64_t>(first, from[t]);
        last = std::max<int64_t>(last, to[t]);
    }
    // Query times key and weight times value.
    return {static_cast<uint64_t>(std::max<int64_t>(0, last - first)) * position_bytes(kv),
            2.0 * static_cast<double>(pairs) * static_cast<double>(q.cols)};
}

OpCost commit_cost(const StepInputs& inputs, const KvView& kv) {
    const KvStep& step = inputs.kv(kv.kv_class);
    uint64_t rows = 0;
    for (int i = 0; i < step.commit_count; ++i) rows += static_cast<uint64_t>(step.commits[static_cast<size_t>(i)].count);
    return {2 * rows * position_bytes(kv), 0};
}

}  // namespace lapidary::runtime
