// The transformer: tokens -> embed -> layers -> logits.
#pragma once

#include <functional>
#include <span>

#include "lapidary/result.h"
#include "model/scores.h"
#include "model/stage.h"
#include "model/step.h"

namespace lapidary::model {

// The residual [T, D] behind a layer that the step observes.
using ResidualSink = std::function<void(int32_t layer, std::span<const float> rows)>;

// Runs one step through the stages, which follow each other, and hands out the rows wanted. `watch` is called before
// each layer. `cancelled` when it stopped; the caller then treats the cache as rolled back to the step's first position.
Result<void> forward(std::span<const Stage> stages, const Step& step, const runtime::StepWatch& watch,
                     const ResidualSink& residuals, const RowSink& sink);

// The layers of one stage. `given`: the residual [T, D] that the stage before left, where that was on another device; `taken` is
// called when it is needed no more.
Result<void> run_stage(const Stage& stage, const Step& step, const float* given, const runtime::StepWatch& watch,
                       const std::function<void()>& taken = {});

// The residual that a stage left, for the device of the next one: valid until the stage's next step.
Result<const float*> read_residual(const Stage& stage, const Step& step);

// One transformer block on the residual ws.x [T, D] (layer.cpp). Only the last `rows` columns leave the
// block; the others merely store their keys and values.
void run_layer(const Stage& stage, int32_t index, int32_t columns, int32_t rows);

// Pictures and recordings to rows of width D (vision.cpp, audio.cpp); f32, unscaled.
struct Patches {
    std::vector<float> values;    // [N][patch_values], in the order the weights want
    std::vector<int32_t> x, y;    // column and row of each patch, in patches
};
Result<std::vector<float>> embed_patches(const Network& net, runtime::Device& device, Workspace& ws,
                                         const Patches& patches);
Result<std::vector<float>> embed_frames(const Network& net, runtime::Device& device, Workspace& ws,
                                        std::span<const float> frames);  // [N][samples_per_token]

}  // namespace lapidary::model
