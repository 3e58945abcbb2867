// Attention on the GPU. With up to kSplitRows columns the keys are split over workgroups and their partials merged; with
// more, a workgroup goes through all of its keys. How keys are split depends on absolute positions alone, so that the bits
// of a row are the same with 1 to kSplitRows columns.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/vulkan/attention_scratch.h"
#include "runtime/vulkan/step_memory.h"

namespace lapidary::runtime::vulkan {

// As Device::attention. Heads of an even number of values (q8_0: a multiple of 32), up to 1024. `image`: where the int8 image
// of `to` may go (products.h); true where it was written.
bool note_attention(const TensorView& q, const KvView& kv, const TensorView& to, const StepMemory& memory,
                    std::vector<Dispatch>& out, const Range& image = {});

}  // namespace lapidary::runtime::vulkan
