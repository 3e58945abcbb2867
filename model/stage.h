// Layers on one device, with all that they need there.
#pragma once

#include <span>
#include <vector>

#include "model/config.h"
#include "model/kv_cache.h"
#include "model/step.h"
#include "model/weights.h"
#include "model/workspace.h"
#include "runtime/device.h"

namespace lapidary::runtime {
class Recorder;
}

namespace lapidary::model {

// Everything the forward pass reads of a model.
struct Network {
    const ModelConfig& config;
    const Weights& weights;
};

// Consecutive layers [first, last) and all that they need, on one device. Layer 0 takes the embedding with it, the last
// layer the head.
struct Stage {
    runtime::Device& device;
    Network net;
    KvCache& kv;
    Workspace& ws;
    int32_t first, last;
    runtime::Recorder* recorder = nullptr;  // of hand-overs and waits

    bool ends_model() const { return last == static_cast<int32_t>(net.config.layers.size()); }
};

// The residual of so many columns, [T, D].
inline runtime::TensorView residual(const Stage& s, int32_t columns) {
    return view(s.ws.x, runtime::Format::f32, columns, s.net.config.hidden);
}

// The stages, with an end behind every observed layer: there the device is done for a moment.
std::vector<Stage> cut(std::span<const Stage> stages, std::span<const int32_t> observed);

// Which recording serves a step in this stage. `given`: its residual comes from another device.
runtime::StepKey key_of(const Stage& stage, const Step& step, bool given);

}  // namespace lapidary::model
