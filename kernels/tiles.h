// The shape of the work of the blocked matmul: panels of 16 rows, tiles of 256 values along K, and how its
// scratch is divided. For simd/matmul.inl and scratch.cpp.
#pragma once

#include "kernels/formats.h"

namespace lapidary::kernels {

inline constexpr int64_t kPanelRows = 16;  // one vector lane (of one or more registers) owns one output row
inline constexpr int64_t kTileK = 256;     // a multiple of every block_values()
// From one column of an activation tile to the next; 272 keeps eight columns out of one set of the L1 cache.
inline constexpr int64_t kColumnStride = kTileK + 16;
inline constexpr int64_t kRowBufferStride = kTileK + 16;
// Activation tiles that are packed at once: as many as fit here (256 KiB), at least one.
inline constexpr int64_t kActivationFloats = 64 * 1024;

// Floats from the start of scratch (in this order), each a multiple of 16.
inline constexpr int64_t kWeightTileFloats = kTileK * kPanelRows;            // [k][16 rows]
inline constexpr int64_t kRowBufferFloats = kPanelRows * kRowBufferStride;   // [16 rows][k], expanded rows
inline constexpr int64_t kTailRowsFloats = kPanelRows * kRowBufferStride;    // bytes of a panel's rows, padded

static inline int64_t activation_floats(int64_t columns) {
    const int64_t least = columns * kColumnStride;
    return least > kActivationFloats ? least : kActivationFloats;
}
static inline int64_t matmul_scratch_floats(int64_t columns) {
    return kWeightTileFloats + kRowBufferFloats + kTailRowsFloats + activation_floats(columns);
}

}  // namespace lapidary::kernels
