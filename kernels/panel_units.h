// Where things lie inside a panel (drawings in kernels/panels.h), and how many panels make a tile.
// For ref/panel_*.cpp, the panel kernels of each level and the tests. Static: kernels/README.md, "One definition".
#pragma once

#include "kernels/panels.h"

namespace lapidary::kernels {

inline constexpr int64_t kPanelScaleBytes = 32;   // f16 scales of 16 rows
inline constexpr int64_t kPanelWordBytes = 64;    // 16 rows x 8 nibbles, or x 4 bytes
inline constexpr int64_t kGroupBlocks = kActivationGroup / 32;

// Bytes of 16 rows x 256 K.
static constexpr int64_t panel_group_bytes(Format f) { return kPanel * row_bytes(f, kActivationGroup); }

// Below it x / s would not stay within 127: FLT_MIN.
inline constexpr float kSmallestPanelScale = 1.17549435e-38f;

// q4_0 and q8_0: units of 64 K. Offsets of block `b` of 32 K from the panel's begin.
static constexpr int64_t panel_unit_bytes(Format f) { return kPanel * row_bytes(f, 64); }
static constexpr int64_t panel_block_scales(Format f, int64_t b) {
    return b / 2 * panel_unit_bytes(f) + b % 2 * kPanelScaleBytes;
}
static constexpr int64_t panel_block_values(Format f, int64_t b) {
    const int64_t bytes = (panel_unit_bytes(f) - 2 * kPanelScaleBytes) / 2;
    return b / 2 * panel_unit_bytes(f) + 2 * kPanelScaleBytes + b % 2 * bytes;
}

// q4_k: offsets within a unit of 256 K.
inline constexpr int64_t kQ4KScales = 64, kQ4KNibbles = 256;
// q6_k: offsets within a unit of 256 K; 16 sub-blocks of 16 K follow each other.
inline constexpr int64_t kQ6KScales = 32, kQ6KValues = 288, kQ6KSubBlockBytes = 192, kQ6KHighBits = 128;

// Panels, an even number, whose weights stay in the second-level cache while all columns pass by.
static constexpr int64_t panels_of_tile(Format f, int64_t k) {
    constexpr int64_t kTileBytes = 640 << 10;
    const int64_t panels = kTileBytes / panel_bytes(f, k) / 2 * 2;
    return panels < 2 ? 2 : panels;
}

}  // namespace lapidary::kernels
