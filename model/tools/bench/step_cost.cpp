// Sums over the layers; see step_cost.h.
#include "model/tools/bench/step_cost.h"

#include <algorithm>

namespace lapidary::model {
namespace {

double values(const runtime::TensorView& m) { return static_cast<double>(m.rows) * static_cast<double>(m.cols); }

// Query times keys and weights times values of one token that sees `seen` positions of each full layer.
double attention_macs(const ModelConfig& config, int32_t seen) {
    double macs = 0;
    for (const LayerConfig& l : config.layers) {
        const int32_t visible = l.kind == LayerKind::sliding ? std::min(seen, config.window) : seen;
        macs += 2.0 * visible * config.heads * l.head_dim;
    }
    return macs;
}

}  // namespace

StepCost step_cost(const model::SessionState& session, int32_t position, int32_t columns, int32_t rows) {
    const model::EngineState& engine = *session.engine;
    const Weights& weights = engine.loaded.weights;
    const auto head_bytes = static_cast<uint64_t>(weights.embed.bytes());
    StepCost cost;
    cost.bytes = engine.weight_bytes_per_token - (rows > 0 ? 0 : head_bytes);
    cost.bytes += session.read_bytes(position + columns - 1);
    double body = 0;
    for (const LayerWeights& l : weights.layers)
        for (const auto* matrix : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down})
            if (*matrix) body += values(*matrix);
    cost.macs = body * columns + values(weights.embed) * rows;
    for (int32_t t = 0; t < columns; ++t) cost.macs += attention_macs(engine.loaded.config, position + t + 1);
    return cost;
}

}  // namespace lapidary::model
