// Matrices in rows, every format: f32 input, and int8 where weights are quantised.
// Names: matmul/<format>/<level>/k:<K>/rows:<R>/columns:<T>/int8:<0|1>.
#include "bench/support.h"

namespace lapidary::bench {
namespace {

constexpr int64_t kK = 3840, kRows = 4096;  // 12B's width; 9 MB in 4 bits, so that one column streams from L3
constexpr int64_t kChecked = 16;

void matmul(benchmark::State& state, const KernelRow& row) {
    const Format format = row.weights;
    const int64_t columns = state.range(2);
    const bool int8 = state.range(3) != 0;
    const auto kernel = row.table->matmul[static_cast<size_t>(format)];
    const KernelTable& ref = *select("ref", nullptr);
    const auto weights = random_weights(format, kRows, kK);
    const Aligned<float> x = random_values(columns * kK), y(columns * kRows), expected(columns * kRows);
    const Aligned<int8_t> xq(columns * kK);
    const Aligned<float> scales(columns * kK / kActivationBlock);
    for (int64_t t = 0; int8 && t < columns; ++t)
        ref.quantize(x.data() + t * kK, kK, xq.data() + t * kK, scales.data() + t * kK / kActivationBlock);
    const Aligned<uint8_t> scratch(matmul_scratch_bytes());
    MatmulArgs a;
    a.weights = weights.data();
    a.row_bytes = row_bytes(format, kK);
    a.k = kK;
    a.x = int8 ? nullptr : x.data();
    a.xq = int8 ? xq.data() : nullptr;
    a.x_scales = int8 ? scales.data() : nullptr;
    a.x_stride = kK;
    a.columns = columns;
    a.y_stride = kRows;
    a.scratch = scratch.data();
    a.y = expected.data();
    a.row_end = kChecked;
    ref.matmul[static_cast<size_t>(format)](a);
    a.y = y.data();
    a.row_end = kRows;
    kernel(a);
    for (int64_t t = 0; t < columns; ++t)
        if (!agree(&y[t * kRows], &expected[t * kRows], kChecked)) return state.SkipWithError("wrong result");
    for (auto _ : state) {
        kernel(a);
        benchmark::ClobberMemory();
    }
    count(state, row, static_cast<double>(weights.size()), static_cast<double>(kK * kRows * columns));
}

}  // namespace

bool register_matmul(const KernelRow& row) {
    if (row.op != "matmul") return false;
    auto* bench = add(row, name_of(row), matmul);
    bench->ArgNames({"k", "rows", "columns", "int8"})->Unit(benchmark::kMillisecond);
    for (const int64_t columns : {1, 8, 128})
        for (const int int8 : {0, 1})
            if (!int8 || is_quantised(row.weights)) bench->Args({kK, kRows, columns, int8});
    return true;
}

}  // namespace lapidary::bench
