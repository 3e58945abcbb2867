// Masks and rotation angles of a step. Masks: specification text-core 2.8; rotation: 2.6.
#include "model/step.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/workspace.h"

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

int32_t rotated_head(const ModelConfig& config, LayerKind kind) {
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

runtime::StepShape shape_of(const ModelConfig& config, const Step& step, bool given) {
    const bool soft = std::any_of(step.soft.begin(), step.soft.end(), [&](const SoftRows& s) {
        return s.position < step.end() && s.end() > step.position;
    });
    runtime::StepShape shape;
    shape.columns = step.columns();
    const bool all = !step.observed.empty() && step.observed.back() + 1 == static_cast<int32_t>(config.layers.size());
    shape.leaving = all ? step.columns() : step.rows_wanted;
    shape.rows_wanted = step.rows_wanted;
    shape.scored = step.head ? std::min(step.rows_wanted, kLogitsRows) : 0;
    shape.candidates = step.candidates;
    shape.row_width = given || soft ? config.hidden : 0;
    shape.pairs = {config.sliding_rope.pairs, config.full_rope.pairs};
    shape.mask_words = static_cast<int32_t>(step.mask.size());
    shape.widest = static_cast<int32_t>(widest_input(config));
    shape.head_dim = largest_head(config);
    return shape;
}

void write_inputs(const ModelConfig& config, const KvCache& kv, const Step& step, const float* given,
                  const runtime::StepInputs& inputs) {
    const int32_t begin = step.position, end = step.end(), columns = step.columns();
    const int64_t width = config.hidden;
    int32_t *const ids = inputs.ids(), *const sliding_first = inputs.first(KvClass::window);
    int32_t *const sliding_last = inputs.last(KvClass::window), *const full_last = inputs.last(KvClass::linear);
    inputs.position() = begin;
    std::copy(step.ids.begin(), step.ids.end(), ids);
    std::fill_n(inputs.first(KvClass::linear), columns, 0);
    for (int32_t t = 0; t < columns; ++t) {
        sliding_first[t] = std::max(0, begin + t - config.window + 1);
        sliding_last[t] = full_last[t] = begin + t + 1;
    }
    if (given) std::copy_n(given, columns * width, inputs.rows());
    for (const SoftRows& s : step.soft) {
        const int32_t from = std::max(begin, s.position), to = std::min(end, s.end());
        if (from >= to) continue;
        if (!given && inputs.row_width() > 0)
            std::copy_n(s.rows.data() + (from - s.position) * width, (to - from) * width,
                        inputs.rows() + (from - begin) * width);
        for (int32_t t = from - begin; t < to - begin; ++t) {
            ids[t] = -1;
            if (!s.block || !config.vision_blocks) continue;
            sliding_last[t] = s.end();
            if (step.blocks_everywhere) full_last[t] = s.end();
        }
    }
    if (inputs.has_mask()) std::copy(step.mask.begin(), step.mask.end(), inputs.mask());
    kv.plan_step(begin, columns, inputs.kv(KvClass::window), inputs.kv(KvClass::linear));
    for (const auto& [kind, c] : {std::pair{LayerKind::sliding, KvClass::window}, {LayerKind::full, KvClass::linear}})
        fill_rope(config.rope(kind), rotated_head(config, kind), begin, columns, inputs.cosine(c), inputs.sine(c));
}

}  // namespace lapidary::model
