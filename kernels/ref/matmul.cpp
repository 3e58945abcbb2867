// Reference matmul: y = W x, one f32 accumulator per output value, K ascending, no fused multiply-add.
// A tile of a weight row is expanded once and used for all columns; partial sums wait in y.
#include "kernels/declare.h"

namespace lapidary::kernels::ref {
namespace {

constexpr int64_t kTile = 256;  // a multiple of every block_values()

float dot_f32(float sum, const float* w, const float* x, int64_t count) {
    for (int64_t k = 0; k < count; ++k) sum += w[k] * x[k];
    return sum;
}

float dot_q8(float sum, const float* w, const int8_t* q, const float* scales, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
        sum += w[k] * (static_cast<float>(q[k]) * scales[k / kActivationBlock]);
    }
    return sum;
}

void row_tile(const MatmulArgs& a, int64_t row, int64_t begin, int64_t count, const float* w) {
    for (int64_t t = 0; t < a.columns; ++t) {
        float& y = a.y[t * a.y_stride + row];
        const int64_t x = t * a.x_stride + begin;
        const int64_t scale = (t * a.k + begin) / kActivationBlock;
        const float sum = begin == 0 ? 0.0f : y;
        y = a.x ? dot_f32(sum, w, a.x + x, count) : dot_q8(sum, w, a.xq + x, a.x_scales + scale, count);
    }
}

void matmul(const MatmulArgs& a, Format format, ExpandFn expand) {
    float w[kTile];
    for (int64_t row = a.row_begin; row < a.row_end; ++row) {
        const auto* blocks = static_cast<const uint8_t*>(a.weights) + row * a.row_bytes;
        for (int64_t begin = 0; begin < a.k; begin += kTile) {
            const int64_t count = a.k - begin < kTile ? a.k - begin : kTile;
            expand(blocks + row_bytes(format, begin), count, w);
            row_tile(a, row, begin, count, w);
        }
        for (int64_t t = 0; a.bias && t < a.columns; ++t) a.y[t * a.y_stride + row] += a.bias[row];
    }
}

}  // namespace

#define LAP_MATMUL(format) \
    void matmul_##format(const MatmulArgs& args) { matmul(args, Format::format, expand_##format); }
LAP_MATMUL(f32)
LAP_MATMUL(f16)
LAP_MATMUL(bf16)
LAP_MATMUL(q4_0)
LAP_MATMUL(q4_1)
LAP_MATMUL(q5_0)
LAP_MATMUL(q5_1)
LAP_MATMUL(q8_0)
LAP_MATMUL(q2_k)
LAP_MATMUL(q3_k)
LAP_MATMUL(q4_k)
LAP_MATMUL(q5_k)
LAP_MATMUL(q6_k)
LAP_MATMUL(iq4_nl)
LAP_MATMUL(iq4_xs)
#undef LAP_MATMUL

}  // namespace lapidary::kernels::ref
