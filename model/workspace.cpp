// Sizes of the step buffers.
#include "model/workspace.h"

#include <algorithm>

#include "base/try.h"

namespace lapidary::model {

Result<void> Workspace::reserve(runtime::Device& device, const ModelConfig& config, int32_t wanted) {
    if (wanted <= columns) return {};
    int64_t q_width = 0, kv_width = 0;
    for (const LayerConfig& l : config.layers) {
        q_width = std::max(q_width, int64_t{config.heads} * l.head_dim);
        kv_width = std::max(kv_width, int64_t{l.kv_heads} * l.head_dim);
    }
    const auto rows = [&](runtime::Buffer& b, int64_t n, int64_t width) -> Result<void> {
        LAP_ASSIGN(b, device.allocate(static_cast<size_t>(n * width) * sizeof(float)));
        return {};
    };
    for (auto* b : {&x, &normed, &branch}) LAP_TRY(rows(*b, wanted, config.hidden));
    for (auto* b : {&q, &heads}) LAP_TRY(rows(*b, wanted, q_width));
    for (auto* b : {&k, &v}) LAP_TRY(rows(*b, wanted, kv_width));
    for (auto* b : {&gate, &up}) LAP_TRY(rows(*b, wanted, config.ffn));
    for (auto* b : {&cosine[0], &sine[0]}) LAP_TRY(rows(*b, wanted, config.sliding_rope.pairs));
    for (auto* b : {&cosine[1], &sine[1]}) LAP_TRY(rows(*b, wanted, config.full_rope.pairs));
    if (!logits) LAP_TRY(rows(logits, kLogitsRows, config.vocab));
    columns = wanted;
    return {};
}

}  // namespace lapidary::model
