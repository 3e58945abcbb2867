// Panels: weights rearranged so that a vector lane owns an output row, and the activations that multiply
// them. One layout for all ISAs and files (P16), units of 16 rows ascending in K, panels ascending in rows;
// as many bytes as the source, but for the padding of a panel to 64. Rows beyond the last have zero scales.
// A "word group" of 8 K is 64 bytes: byte 4r + j holds K = j in its low and K = 4 + j in its high nibble, row r.
//
//   q4_0  16 rows x 64 K = 576 B:   f16 scales [2 blocks][16], nibbles [8 word groups]; value (nibble - 8) d
//   q8_0  16 rows x 64 K = 1088 B:  f16 scales [2 blocks][16], bytes [16][4r + j]; value (byte - 128) d
//   q4_k  16 rows x 256 K = 2304 B: f16 d [16], dmin [16], the 12 scale bytes of the source [12][16],
//                                   nibbles [32 word groups]; value d scale nibble - dmin minimum
//   q6_k  16 rows x 256 K = 3360 B: f16 d [16], int8 scales [8 blocks of 32][16 rows][2 halves], 16 times (16 K):
//                                   2 word groups of low nibbles, 64 B whose byte 4r + j holds the high two bits
//                                   of K = 4i + j at bit 2i; value (6 bits - 32) d scale
//   bf16  16 rows x 2 K = 64 B:     [16][2]
//   f16   16 rows x 1 K = 32 B:     [16]
#pragma once

#include "kernels/formats.h"

namespace lapidary::kernels {

inline constexpr int64_t kPanel = 16;             // rows of a panel
inline constexpr int64_t kActivationGroup = 256;  // K values that share an activation scale
inline constexpr int64_t kPanelAlignment = 64;

// Formats that have a panel layout; K must be a multiple of panel_k_multiple.
constexpr bool has_panels(Format f) {
    return f == Format::q4_0 || f == Format::q8_0 || f == Format::q4_k || f == Format::q6_k ||
           f == Format::bf16 || f == Format::f16;
}
constexpr int64_t panel_k_multiple(Format f) { return is_quantised(f) ? kActivationGroup : 16; }
constexpr int64_t panel_bytes(Format f, int64_t k) {
    return (kPanel * row_bytes(f, k) + kPanelAlignment - 1) / kPanelAlignment * kPanelAlignment;
}

// Rearranges rows [0, rows), rows <= 16, of a matrix into one panel, and takes one row out of it again.
using PackPanelFn = void (*)(const void* weights, int64_t row_stride_bytes, int64_t k, int64_t rows, void* panel);
using UnpackPanelRowFn = void (*)(const void* panel, int64_t k, int64_t row, void* weights);

// The activations of T columns as the kernels want them, by format of the weights.
//   quantised: int8 image, q = round(x / s), s = max|x| / 127 per column and 256 K, so that |q| <= 127
//     q       [T][q_stride]    int8, q_stride = panel_q_stride(K)
//     sums    [T][K/16]        int16, sums of q over each 16 K
//     offsets [T][K/32]        int32, -8 times the sum of q over each 32 K: what unsigned nibbles add too much
//     eighths [T][K/8]         int32, -32 times the sum of q over each 8 K: what unsigned six bits add too much
//     scales  [T][K/256]       f32
//   bf16, f16: f32 rows x [T][x_stride]; or, where the table has round_bf16 and the weights are bf16,
//   the rows xb [T][x_stride] rounded to bf16
struct PanelInput {
    int8_t* q = nullptr;
    int16_t* sums = nullptr;
    int32_t* offsets = nullptr;
    int32_t* eighths = nullptr;
    float* scales = nullptr;
    int64_t q_stride = 0;
    const float* x = nullptr;
    const uint16_t* xb = nullptr;
    int64_t x_stride = 0;  // values
    int64_t columns = 0, k = 0;
};
// An odd number of cache lines, so that columns do not fall into the same sets of a cache.
constexpr int64_t panel_q_stride(int64_t k) { return (k + 127) / 128 * 128 + 64; }

// Fills column `column` of the int8 image from x [K].
using QuantizePanelFn = void (*)(const float* x, int64_t column, const PanelInput& out);
// y = x rounded to bf16, to the nearest even; denormals become zero.
using RoundBf16Fn = void (*)(const float* x, int64_t n, uint16_t* y);

// The register tile of a product: at most so many columns beside one panel of 16 rows, and beside two.
struct TileShape {
    int columns = 1, paired = 0;
};

// y[t][r] for rows [16 panel_begin, min(16 panel_end, rows)) and all columns. Groups g of 256 K and blocks b of
// 32 K ascend; fma is fused, in f32; sums of integers are exact.
//   q4_0, q8_0: total = fma(scales[g], sum_g, total), sum_g = fma(d[b], float(sum of (weight - offset) q), sum_g)
//   q4_k:       total = fma(scales[g], fma(-dmin, float(I_m), d * float(I)), total), I = sum of scale nibble q,
//               I_m = sum of minimum q, both over the 256 K
//   q6_k:       total = fma(scales[g], d * float(I), total), I = sum of scale (bits - 32) q over the 256 K
//   bf16, f16:  total = fma(weight, x, total), K ascending. With round_bf16: in pairs of K, each pair summed as
//               the instruction does.
// So all levels agree bit for bit (round_bf16 aside), whatever T, the slice or the thread.
struct PanelMatmulArgs {
    const void* panels = nullptr;  // kPanelAlignment
    PanelInput x;
    float* y = nullptr;            // [T][y_stride]
    int64_t y_stride = 0;
    int64_t rows = 0;              // of the matrix
    int64_t panel_begin = 0, panel_end = 0;
};
inline constexpr int64_t kFewColumns = 8;
using PanelMatmulFn = void (*)(const PanelMatmulArgs&);

}  // namespace lapidary::kernels
