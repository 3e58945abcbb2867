// Masks and rotation angles of a step. Masks: specification text-core 2.8; rotation: 2.6.
#include "model/step.h"

#include <algorithm>
#include <cmath>

namespace lapidary::model {

using runtime::KvClass;

namespace {

// Angles as transformers forms them: f32 frequency, f32 product with the position; then cosine and sine in
// double, because a GPU's fast sine must never see an angle of 262,143.
void fill_rope(const RopeConfig& rope, int32_t head_dim, int32_t position, int32_t columns, float* cosine,
               float* sine) {
    for (int32_t i = 0; i < rope.pairs; ++i) {
        const float frequency = static_cast<float>(1.0 / std::pow(rope.theta, 2.0 * i / head_dim));
        for (int32_t t = 0; t < columns; ++t) {
            const double angle = static_cast<float>(position + t) * frequency;
            cosine[int64_t{t} * rope.pairs + i] = static_cast<float>(std::cos(angle));
            sine[int64_t{t} * rope.pairs + i] = static_cast<float>(std::sin(angle));
        }
    }
}

int32_t head_dim_of(const ModelConfig& config, LayerKind kind) {
    for (const LayerConfig& l : config.layers)
        if (l.kind == kind) return l.head_dim;
    return 2;
}

}  // namespace

int32_t chunk_end(int32_t begin, int32_t end, int32_t limit, std::span<const SoftRows> soft) {
    int32_t cut = std::min(end, begin + limit);
    for (const SoftRows& s : soft) {
        if (!s.block || cut <= s.position || cut >= s.position + s.count) continue;
        cut = s.position > begin ? s.position : s.position + s.count;
        break;
    }
    return std::min(cut, end);
}

void build_step(const ModelConfig& config, const KvCache& kv, int32_t begin, std::span<const int32_t> ids,
                std::span<const SoftRows> soft, int32_t rows_wanted, bool blocks_everywhere, Workspace& ws,
                Step& step) {
    const int32_t columns = static_cast<int32_t>(ids.size()), end = begin + columns;
    step.ids.assign(ids.begin(), ids.end());
    step.soft.clear();
    for (auto& v : step.first) v.assign(ids.size(), 0);
    for (auto& v : step.last) v.resize(ids.size());
    auto& sliding_first = step.first[static_cast<size_t>(KvClass::window)];
    auto& sliding_last = step.last[static_cast<size_t>(KvClass::window)];
    auto& full_last = step.last[static_cast<size_t>(KvClass::linear)];
    for (int32_t t = 0; t < columns; ++t) {
        const size_t i = static_cast<size_t>(t);
        sliding_first[i] = std::max(0, begin + t - config.window + 1);
        sliding_last[i] = full_last[i] = begin + t + 1;
    }
    for (const SoftRows& s : soft) {
        const int32_t from = std::max(begin, s.position), to = std::min(end, s.position + s.count);
        if (from >= to) continue;
        step.soft.push_back(&s);
        for (int32_t p = from; p < to; ++p) {
            const size_t i = static_cast<size_t>(p - begin);
            step.ids[i] = -1;
            if (!s.block || !config.vision_blocks) continue;
            sliding_last[i] = s.position + s.count;
            if (blocks_everywhere) full_last[i] = s.position + s.count;
        }
    }

    step.shape = {columns, rows_wanted};
    step.params.columns = columns;
    step.params.position = begin;
    step.params.ids = step.ids.data();
    for (size_t c = 0; c < 2; ++c) {
        step.params.first[c] = step.first[c].data();
        step.params.last[c] = step.last[c].data();
    }
    kv.plan_step(begin, columns, step.params);

    const auto fill = [&](LayerKind kind, size_t c) {
        fill_rope(config.rope(kind), head_dim_of(config, kind), begin, columns,
                  reinterpret_cast<float*>(ws.cosine[c]->host), reinterpret_cast<float*>(ws.sine[c]->host));
    };
    fill(LayerKind::sliding, static_cast<size_t>(KvClass::window));
    fill(LayerKind::full, static_cast<size_t>(KvClass::linear));
}

}  // namespace lapidary::model
