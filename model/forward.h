// The transformer: tokens -> embed -> layers -> logits.
#pragma once

#include <functional>
#include <span>

#include "lapidary/result.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/step.h"
#include "model/weights.h"
#include "model/workspace.h"

namespace lapidary::model {

// Everything the forward pass reads of a model.
struct Network {
    const ModelConfig& config;
    const Weights& weights;
};

// One row of logits [V] after the soft cap; row counts from 0 among the rows wanted. False: enough.
using RowSink = std::function<bool(int32_t row, std::span<const float> logits)>;

// Called before each layer with the number of those done. False: stop.
using LayerSink = std::function<bool(size_t done)>;

// Runs one step and hands out the rows wanted. `cancelled` when stopped; the caller then treats the cache as
// rolled back to the step's first position.
Result<void> forward(const Network& net, runtime::Device& device, const Step& step, KvCache& kv, Workspace& ws,
                     const LayerSink& go_on, const RowSink& sink);

// One transformer block on the residual ws.x [T, D] (layer.cpp). Only the last `rows` columns leave the
// block; the others merely store their keys and values.
void run_layer(const Network& net, runtime::Device& device, size_t index, const Step& step, int32_t rows,
               KvCache& kv, Workspace& ws);

// Pictures and recordings to rows of width D (vision.cpp, audio.cpp); f32, unscaled.
struct Patches {
    std::vector<float> values;    // [N][patch_values], in the order the weights want
    std::vector<int32_t> x, y;    // column and row of each patch, in patches
};
Result<std::vector<float>> embed_patches(const Network& net, runtime::Device& device, const Patches& patches);
Result<std::vector<float>> embed_frames(const Network& net, runtime::Device& device,
                                        std::span<const float> frames);  // [N][samples_per_token]

}  // namespace lapidary::model
