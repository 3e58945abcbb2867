// The shape of the work of the blocked matmul: panels of 16 rows, tiles of 256 values along K, and how its
// scratch is divided. For simd/matmul.inl and scratch.cpp.
#pragma once

#include "kernels/formats.h"

namespace lapidary::kernels {

inline constexpr int64_t kPanelRows = 16;  // one vector lane (of one or more registers) owns one output row
inline constexpr int64_t kTileK = 256;     // a multiple of every block_values()
// Columns that are multiplied together: their activations and partial sums stay in the second-level cache.
inline constexpr int64_t kColumnBlock = 128;
// From one column of an activation tile to the next; 272 keeps eight columns out of one set of the L1 cache.
inline constexpr int64_t kColumnStride = kTileK + 16;
// Activation tiles that are packed at once: as many as fit (544 KiB), at least four.
inline constexpr int64_t kActivationFloats = 4 * kColumnBlock * kColumnStride;
// From one row to the next where a panel's rows are copied: room for 256 f32 values.
inline constexpr int64_t kRowStride = kTileK + 16;

// Floats in scratch, in this order; each a multiple of 16.
inline constexpr int64_t kWeightTileFloats = kTileK * kPanelRows;  // [k][16 rows]
inline constexpr int64_t kSumFloats = kColumnBlock * kPanelRows;   // [column][16 rows], partial sums of a panel
inline constexpr int64_t kTailFloats = kPanelRows * kRowStride;    // weight bytes of an incomplete panel
inline constexpr int64_t kMatmulScratchFloats =
    kWeightTileFloats + kSumFloats + kTailFloats + kActivationFloats;

}  // namespace lapidary::kernels
