// The CPU kernels: pure functions on slices of rows, and the table that chooses one per operation.
// The contract is kernels/README.md. Every pointer is host memory owned by the caller; nothing is
// allocated, nothing fails. Weights and cache rows need no alignment. Axis letters: T tokens (columns)
// of this call, R output rows, K the summed axis, H query heads, G kv heads, C cached positions.
#pragma once

#include "kernels/formats.h"
#include "kernels/panels.h"

namespace lapidary::kernels {

// ---- weights --------------------------------------------------------------------------------------
// out[i] = value i of the blocks; count is a multiple of block_values(format).
using ExpandFn = void (*)(const void* blocks, int64_t count, float* out);

// ---- matmul ---------------------------------------------------------------------------------------
// y[t][r] = sum over k of W[r][k] * x[t][k] (+ bias[r]), for rows [row_begin, row_end) and all T columns.
// Accumulates in f32, one accumulator per (t, r), K ascending, so that the bits of a row do not depend
// on T, on the slice or on the thread. Input is f32 (`x`) or, with quantised weights, int8 (`xq`, `x_scales`), never both.
struct MatmulArgs {
    const void* weights = nullptr;   // [R][row_bytes]
    int64_t row_bytes = 0;           // from one weight row to the next
    int64_t k = 0;                   // a multiple of block_values(format)
    const float* x = nullptr;        // [T][x_stride]
    const int8_t* xq = nullptr;      // [T][x_stride]
    const float* x_scales = nullptr; // [T][k / kActivationBlock]
    int64_t x_stride = 0;            // values from one column to the next
    int64_t columns = 0;             // T
    const float* bias = nullptr;     // [R] or null
    float* y = nullptr;              // [T][y_stride]
    int64_t y_stride = 0;
    int64_t row_begin = 0, row_end = 0;
    void* scratch = nullptr;         // matmul_scratch_bytes(), 64-byte aligned, one per thread
};
using MatmulFn = void (*)(const MatmulArgs&);

// q[i] = round(x[i] / s), s = max|x| / 127 over each block of kActivationBlock; k a multiple of it.
using QuantizeFn = void (*)(const float* x, int64_t k, int8_t* q, float* scales);

// ---- rows -----------------------------------------------------------------------------------------
// y = x / sqrt(mean(x^2) + eps) * w; w may be null (no weight). x == y is allowed. n values.
using RmsNormFn = void (*)(const float* x, const float* w, int64_t n, float eps, float* y);
// y = (x - mean) / sqrt(var + eps) * w + b, var the biased variance. x == y is allowed.
using LayerNormFn = void (*)(const float* x, const float* w, const float* b, int64_t n, float eps, float* y);
// x = (x + y / sqrt(mean(y^2) + eps) * w) * scale: residual add of a normed branch, then layer_scalar.
using AddNormFn = void (*)(float* x, const float* y, const float* w, int64_t n, float eps, float scale);
// y = gelu_tanh(gate) * up. y may be gate or up.
using GegluFn = void (*)(const float* gate, const float* up, int64_t n, float* y);
// Rotates one head in place, NEOX pairs (j, j + n/2) for j < pairs: (a, b) -> (a cos - b sin, b cos + a sin).
using RopeFn = void (*)(float* x, int64_t n, int64_t pairs, const float* cosine, const float* sine);
// x = cap * tanh(x / cap).
using SoftCapFn = void (*)(float* x, int64_t n, float cap);
// x = x * s + y, element-wise; y may be null.
using ScaleAddFn = void (*)(float* x, float s, const float* y, int64_t n);

// ---- KV cache -------------------------------------------------------------------------------------
// One run of consecutive positions of one kv head, whose keys and values lie row after row: [dim] in the cache
// format. q8_0 rows: int8 values in k/v, f16 scales (one per 32) in k_scales/v_scales.
struct KvRun {
    const void* k = nullptr;
    const void* v = nullptr;
    const void* k_scales = nullptr;
    const void* v_scales = nullptr;
    int32_t position = 0;  // of the first row
    int32_t count = 0;
};
// Writes n f32 values as one cache row (scales only for q8_0, where n is a multiple of 32).
using StoreKvFn = void (*)(const float* x, int64_t n, void* row, void* scales);

// out[t][h] = softmax(scale-free q[t][h] . k) V over the visible positions [first[t], last[t]), for a tile:
// some tokens and some query heads of one kv head.
// Order of operations (part of the contract): blocks of 256 absolute positions, each with its own maximum,
// sum and accumulator in ascending position; block results merge in ascending order; a dot product has one
// accumulator. Hence the bits of a row do not depend on the tile it is in or on how the cache is cut into
// runs, nor on whether blocks are computed one by one (`partial`) and merged by an AttentionMergeFn.
inline constexpr int32_t kAttentionRows = 64;   // tokens * (head_end - head_begin) at most
inline constexpr int32_t kAttentionBlock = 256;  // absolute positions per softmax block
struct AttentionArgs {
    const float* q = nullptr;     // [T][stride], head h from h * dim
    float* out = nullptr;         // [T][stride], not touched when there is a `partial`
    int64_t stride = 0;           // values from one token to the next, in q and in out
    int32_t tokens = 0;           // T
    int32_t dim = 0;              // a multiple of 2, q8_0: of 32
    KvFormat format = KvFormat::f16;
    // 0: rows of k are [dim]. Otherwise they are [2 * key_pairs], the rotated values alone: those in front of each half
    // of the key. On the others the key is the value times key_weight [dim]. A multiple of 2, q8_0: of 32, and so is
    // dim / 2.
    int32_t key_pairs = 0;
    const float* key_weight = nullptr;
    const KvRun* runs = nullptr;  // of the kv head; ascending positions, covering [smallest first, largest last)
    int32_t run_count = 0;
    KvRowBytes row_bytes;         // from one position to the next
    const int32_t* first = nullptr;  // [T] visible positions; none where last <= first
    const int32_t* last = nullptr;   // [T]
    int32_t head_begin = 0, head_end = 0;  // of one kv head
    // Not null: only `blocks` blocks from `block` on, which is the positions [256 * block, 256 * block + 256), each to a
    // partial of its own: attention_partial_bytes(dim, rows), from one to the next partial_floats.
    float* partial = nullptr;
    int64_t partial_floats = 0;
    int32_t block = 0, blocks = 0;
    float* scratch = nullptr;     // attention_scratch_bytes(dim, rows), 64-byte aligned
};
using AttentionFn = void (*)(const AttentionArgs&);

// The partials of consecutive blocks of one tile, merged into `out`: values [dim_begin, dim_end) of each head.
struct AttentionMergeArgs {
    const float* partials = nullptr;  // [count][partial_floats], 64-byte aligned
    int64_t partial_floats = 0;       // attention_partial_bytes / 4
    int32_t count = 0;
    float* out = nullptr;             // as in AttentionArgs
    int64_t stride = 0;
    int32_t tokens = 0, dim = 0, head_begin = 0, head_end = 0;
    int32_t dim_begin = 0, dim_end = 0;
    float* scratch = nullptr;         // as for the tile
};
using AttentionMergeFn = void (*)(const AttentionMergeArgs&);

// ---- measuring ------------------------------------------------------------------------------------
// Int8 multiply-adds as fast as the level's own instructions allow, on registers.
struct Peak {
    int64_t macs = 0;              // multiply-adds done
    const char* instruction = "";  // what did them: "vpdpbusd zmm"
    int sums = 0;                  // how many did not wait for each other
};
using PeakFn = Peak (*)(int64_t iterations);

// ---- the table ------------------------------------------------------------------------------------
struct KernelTable {
    const char* isa = "";              // "ref", "avx2", "avx512", "neon"
    ExpandFn expand[kFormats] = {};    // by Format
    MatmulFn matmul[kFormats] = {};
    PackPanelFn pack_panel[kFormats] = {};      // null: the format has no panels
    UnpackPanelRowFn unpack_panel_row[kFormats] = {};
    PanelMatmulFn panel_matmul[kFormats] = {};
    PanelMatmulFn panel_matmul_few[kFormats] = {};  // for up to kFewColumns columns; the same until a race is won
    QuantizePanelFn quantize_panel = nullptr;
    RoundBf16Fn round_bf16 = nullptr;           // not null: panel_matmul of bf16 takes bf16 activations
    QuantizeFn quantize = nullptr;
    RmsNormFn rms_norm = nullptr;
    LayerNormFn layer_norm = nullptr;
    AddNormFn add_norm = nullptr;
    GegluFn geglu = nullptr;
    RopeFn rope = nullptr;
    SoftCapFn soft_cap = nullptr;
    ScaleAddFn scale_add = nullptr;
    StoreKvFn store_kv[3] = {};        // by KvFormat
    AttentionFn attention = nullptr;
    AttentionMergeFn attention_merge = nullptr;
    PeakFn peak = nullptr;
};

// Per-thread scratch of one operation, and the most that any asks for (operations.inc).
int64_t matmul_scratch_bytes();
int64_t attention_scratch_bytes(int64_t dim, int64_t rows);
int64_t attention_partial_bytes(int64_t dim, int64_t rows);
int64_t scratch_bytes(int64_t dim, int64_t rows);

}  // namespace lapidary::kernels
