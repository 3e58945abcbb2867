// What attention on a GPU works in beside its rows: for who allocates it, and for who plans with it. Knows nothing of Vulkan.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/step_inputs.h"

namespace lapidary::runtime::vulkan {

inline constexpr int64_t kSplitRows = 8;         // columns up to which the keys are split over workgroups
inline constexpr uint32_t kAttentionRuns = 160;  // slots of a row: that of runs.glsl

constexpr uint64_t partial_floats(uint64_t rows, uint64_t slots, uint64_t dim) { return rows * slots * (dim + 2); }

// What StepMemory::partials must hold for any attention of a step of this shape: its widest row full of its largest heads.
// Layers with smaller heads have no more of them.
inline uint64_t attention_scratch_bytes(const StepShape& shape) {
    const int64_t rows = shape.columns <= kSplitRows ? shape.columns : shape.leaving <= kSplitRows ? shape.leaving : 0;
    if (shape.kind != StepKind::tokens || rows <= 0) return 0;
    const auto widest = static_cast<uint64_t>(shape.widest), dim = static_cast<uint64_t>(shape.head_dim);
    const uint64_t heads = widest / std::max<uint64_t>(dim, 1);
    return partial_floats(static_cast<uint64_t>(rows) * heads, kAttentionRuns, dim) * sizeof(float);
}

}  // namespace lapidary::runtime::vulkan
