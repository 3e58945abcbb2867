// Where things lie inside a q4_0 panel (drawing in kernels/panels.h), and the scratch of panel_matmul.
// For ref/panels.cpp, the panel kernels of each level, scratch.cpp and the tests.
#pragma once

#include "kernels/panels.h"

namespace lapidary::kernels {

inline constexpr int64_t kPanelUnitBytes = 576;   // 16 rows x 64 K
inline constexpr int64_t kPanelScaleBytes = 32;   // f16 scales of 16 rows
inline constexpr int64_t kPanelBlockBytes = 256;  // nibbles of 16 rows x 32 K
inline constexpr int64_t kPanelGroupBytes = 64;   // nibbles of 16 rows x 8 K
inline constexpr int64_t kGroupBlocks = kActivationGroup / 32;

// Below it x / s would not stay within 127: FLT_MIN.
inline constexpr float kSmallestPanelScale = 1.17549435e-38f;

// Of block `b` of 32 K, from the panel's begin. Static: see kernels/README.md, "One definition".
static constexpr int64_t panel_scales_offset(int64_t b) { return b / 2 * kPanelUnitBytes + b % 2 * kPanelScaleBytes; }
static constexpr int64_t panel_nibbles_offset(int64_t b) {
    return b / 2 * kPanelUnitBytes + 2 * kPanelScaleBytes + b % 2 * kPanelBlockBytes;
}

// Scratch, in this order: 256 K of two panels as bytes, their scales as f32 [8 blocks][32 rows], and the sums of
// the two panels [T][32 rows] that wait from one group of K to the next.
inline constexpr int64_t kUnpackedBytes = 2 * kPanel * kActivationGroup;
inline constexpr int64_t kUnpackedScaleBytes = 2 * kPanel * kGroupBlocks * 4;
inline constexpr int64_t kPanelSumBytes = 2 * kPanel * 4;

}  // namespace lapidary::kernels
