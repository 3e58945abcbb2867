// One step of the transformer: which tokens, at which positions, seeing what. Built by the session,
// consumed by forward.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lapidary/result.h"
#include "model/kv_cache.h"
#include "model/workspace.h"
#include "runtime/device.h"

namespace lapidary::model {

// A run of positions whose rows come from a picture or a recording instead of the embedding table.
struct SoftRows {
    int32_t position = 0;      // of the first row
    int32_t count = 0;
    bool block = false;        // pictures and video frames: bidirectional among themselves
    std::vector<float> rows;   // [count][D]
};

struct Step {
    runtime::StepParams params;
    runtime::StepShape shape;
    std::vector<int32_t> ids;                // [T]; -1 where a soft row stands
    std::vector<int32_t> first[2], last[2];  // by KvClass
    std::vector<const SoftRows*> soft;       // that overlap this step
};

// End of the chunk that starts at `begin`: at most `limit` tokens, but never inside a block; a block longer
// than the limit is taken whole. `end` is the end of the sequence.
int32_t chunk_end(int32_t begin, int32_t end, int32_t limit, std::span<const SoftRows> soft);

// Positions [begin, begin + ids.size()), logits wanted for the last `rows_wanted`. Fills the workspace's
// rotation tables. `blocks_everywhere` is the research switch: blocks in full layers too.
void build_step(const ModelConfig& config, const KvCache& kv, int32_t begin, std::span<const int32_t> ids,
                std::span<const SoftRows> soft, int32_t rows_wanted, bool blocks_everywhere, Workspace& ws,
                Step& step);

}  // namespace lapidary::model
