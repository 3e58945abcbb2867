// What each operation reads and multiplies. Bytes are those that a limit is set by: weights in their source
// format, rows of the cache; for the small operations the f32 activations read and written.
#pragma once

#include <cstdint>

#include "runtime/kv.h"
#include "runtime/step_inputs.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

struct OpCost {
    uint64_t bytes = 0;
    double macs = 0;  // multiply-adds
};
inline OpCost operator+(OpCost a, OpCost b) { return {a.bytes + b.bytes, a.macs + b.macs}; }

// Rows [begin, end) of a matrix; end -1: all from begin on.
struct RowRange {
    int64_t begin = 0, end = -1;
    int64_t end_of(const TensorView& matrix) const { return end < 0 ? matrix.rows : end; }
};

// Every value of x moved `times` times.
OpCost move_cost(const TensorView& x, int64_t times);
OpCost embed_cost(const TensorView& table, int64_t rows);
OpCost product_cost(const TensorView& weights, RowRange rows, int64_t columns);
OpCost store_cost(const KvView& kv, int64_t rows);
// Of the last `rows` of `columns` columns. Rows of the cache that the whole step sees count once.
OpCost attention_cost(const StepInputs& inputs, int64_t columns, const TensorView& q, const KvView& kv);
OpCost commit_cost(const StepInputs& inputs, const KvView& kv);

}  // namespace lapidary::runtime
