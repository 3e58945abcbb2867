// Keys and values on the GPU: where they lie, for the recorder's barriers and for shaders; norm and rotation of queries and
// keys, storing, and the rows that enter the ring later. Arguments are those of runtime/device.h.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/vulkan/step_memory.h"

namespace lapidary::runtime::vulkan {

// A layer's rows in the segments of its cache, counted in bytes of a position, so that layers do not meet. Its address is
// for nobody: shaders find segments by the step's table.
Range kv_range(const KvView& kv);
// The step's scratch of a windowed layer; no owner where there is none.
Range kv_scratch_range(const KvView& kv);

// KvLayer of shaders/common/kv.glsl.
struct KvLayer {
    uint32_t layer_bytes = 0, scratch_bytes = 0, kv_heads = 0;
    uint32_t row[4] = {};  // bytes, in order of the planes
};
KvLayer kv_layer(const KvView& kv);

// The step's KvStep, and the table of segments, of the class.
Range kv_step_range(const StepMemory& memory, KvClass c);

void note_norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles, const StepMemory& memory,
                    std::vector<Dispatch>& out);
// k and v stay as they are.
void note_norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps, const KvView& kv,
                          const StepMemory& memory, std::vector<Dispatch>& out);
// Nothing where the step has no scratch.
void note_commit_kv(const KvView& kv, const StepMemory& memory, std::vector<Dispatch>& out);

}  // namespace lapidary::runtime::vulkan
