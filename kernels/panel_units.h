// Where things lie inside a q4_0 panel (drawing in kernels/panels.h), and how many panels make a tile.
// For ref/panels.cpp, the panel kernels of each level and the tests.
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
static constexpr int64_t panel_scales_offset(int64_t b) {
    return b / 2 * kPanelUnitBytes + b % 2 * kPanelScaleBytes;
}
static constexpr int64_t panel_nibbles_offset(int64_t b) {
    return b / 2 * kPanelUnitBytes + 2 * kPanelScaleBytes + b % 2 * kPanelBlockBytes;
}

// Panels, an even number, whose weights stay in the second-level cache while all columns pass by.
static constexpr int64_t panels_of_tile(int64_t k) {
    constexpr int64_t kTileBytes = 256 << 10;
    const int64_t panels = kTileBytes / panel_bytes(Format::q4_0, k) / 2 * 2;
    return panels < 2 ? 2 : panels;
}

}  // namespace lapidary::kernels
