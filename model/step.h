// One step of the transformer: which tokens, at which positions, seeing what. Described by the session; forward turns
// it into the inputs of a device.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lapidary/result.h"
#include "model/kv_cache.h"
#include "runtime/step_inputs.h"

namespace lapidary::model {

// A run of positions whose rows come from a picture or a recording instead of the embedding table.
// Tells pictures and recordings apart: XXH3, 128 bits, of the values that are projected, so of the budget too.
struct MediaContent {
    uint64_t low = 0, high = 0;
    bool operator==(const MediaContent&) const = default;
};

struct SoftRows {
    int32_t position = 0;      // of the first row
    int32_t count = 0;
    bool block = false;        // pictures and video frames: bidirectional among themselves
    std::vector<float> rows;   // [count][D]
    MediaContent content = {}; // of what was embedded

    int32_t end() const { return position + count; }
};

struct Step {
    int32_t position = 0;               // of column 0
    std::span<const int32_t> ids = {};  // [T]; where soft rows stand, theirs do not count
    std::span<const SoftRows> soft = {};  // of the whole sequence, ascending
    int32_t rows_wanted = 0;            // the last columns whose scores are wanted
    int32_t candidates = 0;             // of these; 0: all scores
    std::span<const uint32_t> mask = {};  // that may be candidates: bit id % 32 of word id / 32; empty: all
    bool blocks_everywhere = false;     // the research switch: blocks in full layers too
    bool head = true;                   // false: only their residuals
    std::span<const int32_t> observed = {};  // layers whose residuals are wanted, ascending, each once

    int32_t columns() const { return static_cast<int32_t>(ids.size()); }
    int32_t end() const { return position + columns(); }
};

// End of the chunk that starts at `begin`: at most `limit` tokens, but never inside a block; a block longer
// than the limit is taken whole. `end` is the end of the sequence.
int32_t chunk_end(int32_t begin, int32_t end, int32_t limit, std::span<const SoftRows> soft);

// `given`: the host gives a row for every column (hand-over between devices); else only soft rows, if any.
runtime::StepShape shape_of(const ModelConfig& config, const Step& step, bool given);

// Fills the block. `given`: [T, D] rows of the residual from the device before, or null.
void write_inputs(const ModelConfig& config, const KvCache& kv, const Step& step, const float* given,
                  const runtime::StepInputs& inputs);

}  // namespace lapidary::model
