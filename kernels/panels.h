// Panels: quantised weights rearranged so that a vector lane owns an output row, and the int8 activations
// that multiply them. One layout for all ISAs and files (P16); as many bytes as the source.
//
// Q4_0, a unit of 16 rows x 64 K = 576 bytes, units ascending in K, panels of 16 rows ascending:
//   64 B   f16 scales [2 blocks][16 rows]
//   512 B  nibbles: 8 groups of 8 K; in a group, byte 4r + j holds K = j low and K = 4 + j high of row r,
//          unsigned 0..15 (the value is nibble - 8)
// Rows beyond the last are zero scales and nibbles of 8.
#pragma once

#include "kernels/formats.h"

namespace lapidary::kernels {

inline constexpr int64_t kPanel = 16;             // rows of a panel
inline constexpr int64_t kActivationGroup = 256;  // K values that share an activation scale

// Formats that have a panel layout; K must be a multiple of kActivationGroup.
constexpr bool has_panels(Format f) { return f == Format::q4_0; }
constexpr int64_t panel_bytes(Format f, int64_t k) { return kPanel * row_bytes(f, k); }

// Rearranges rows [0, rows), rows <= 16, of a matrix into one panel.
using PackPanelFn = void (*)(const void* weights, int64_t row_stride_bytes, int64_t k, int64_t rows, void* panel);

// int8 image of the activations of T columns: q = round(x / s), s = max|x| / 127 per column and 256 K.
//   q       [K/32][T][32]   int8
//   sums    [K/32][T]       int32, sum of the 32 values of q
//   scales  [K/256][T]      f32
struct PanelInput {
    int8_t* q = nullptr;
    int32_t* sums = nullptr;
    float* scales = nullptr;
    int64_t columns = 0, k = 0;
};
// Fills column `column` of the image from x [K].
using QuantizePanelFn = void (*)(const float* x, int64_t column, const PanelInput& out);

// y[t][r] for rows [16 panel_begin, min(16 panel_end, rows)) and all columns:
//   sum over groups g of 256 K, ascending, of scales[g][t] * ( sum over blocks b of 32 K in g, ascending, of
//   d[b][r] * float(sum over k in b of (nibble - 8) * q) ), every product-and-add a fused multiply-add in f32.
// The integer sums are exact, so all levels agree bit for bit, whatever T, the slice or the thread.
struct PanelMatmulArgs {
    const void* panels = nullptr;  // 64-byte aligned
    PanelInput x;
    float* y = nullptr;            // [T][y_stride]
    int64_t y_stride = 0;
    int64_t rows = 0;              // of the matrix
    int64_t panel_begin = 0, panel_end = 0;
};
using PanelMatmulFn = void (*)(const PanelMatmulArgs&);

}  // namespace lapidary::kernels
