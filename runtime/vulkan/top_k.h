// The greatest scores of rows on the GPU: slices are sorted, then the best of several slices, until one list is left.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/vulkan/step_memory.h"

namespace lapidary::runtime::vulkan {

inline constexpr int32_t kTopAtMost = 1024;  // k

// What note_top_k needs for lists between its passes.
uint64_t top_k_scratch_bytes(int64_t rows, int64_t vocab, int32_t k);

// As Device::top_k, for k up to kTopAtMost. `scratch`: top_k_scratch_bytes() of this operation's own.
void note_top_k(const TensorView& scores, int32_t k, const TensorView& to, const StepMemory& memory, const Range& scratch,
                std::vector<Dispatch>& out);

}  // namespace lapidary::runtime::vulkan
