// The buffers that one step computes in. Owned by the engine; sessions take turns.
#pragma once

#include "lapidary/result.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "runtime/device.h"

namespace lapidary::model {

inline constexpr int32_t kLogitsRows = 8;  // head rows computed at a time: 8 MB at 262,144 pieces

struct Workspace {
    int32_t columns = 0;                    // capacity T
    runtime::Buffer x, normed, branch;      // [T, D] residual, input of a branch, output of a branch
    runtime::Buffer q, k, v, heads;         // [T, H*K], [T, G*K] x 2, [T, H*K]
    runtime::Buffer gate, up;               // [T, F]
    runtime::Buffer logits;                 // [kLogitsRows, V]
    runtime::Buffer cosine[2], sine[2];     // [T, pairs], by KvClass
    KvScratch kv;

    Result<void> reserve(runtime::Device& device, const ModelConfig& config, int32_t columns);
};

}  // namespace lapidary::model
