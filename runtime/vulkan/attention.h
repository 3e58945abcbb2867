// Attention on the GPU. With up to kSplitRows columns the keys are split over workgroups and their partials merged; with
// more, a workgroup goes through all of its keys. How keys are split depends on absolute positions alone, so that the bits
// of a row are the same with 1 to kSplitRows columns.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/vulkan/step_memory.h"

namespace lapidary::runtime::vulkan {

inline constexpr int64_t kSplitRows = 8;

// What StepMemory::partials must hold for any attention of a step of this shape: an upper bound from its widest row.
uint64_t attention_scratch_bytes(const StepShape& shape);

// As Device::attention. Head sizes: multiples of 16 (q8_0: 32), up to 512; key_pairs even.
void note_attention(const TensorView& q, const KvView& kv, const TensorView& to, const StepMemory& memory,
                    std::vector<Dispatch>& out);

}  // namespace lapidary::runtime::vulkan
