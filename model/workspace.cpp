// Sizes of the step buffers.
#include "model/workspace.h"

#include <algorithm>

#include "base/try.h"

namespace lapidary::model {
namespace {

Result<void> allocate_rows(runtime::Device& device, runtime::Buffer& buffer, int64_t rows, int64_t width,
                           runtime::MemoryKind kind = runtime::MemoryKind::state) {
    LAP_ASSIGN(buffer, device.allocate(static_cast<size_t>(rows * width) * sizeof(float), kind));
    return {};
}

}  // namespace

int64_t widest_input(const ModelConfig& config) {
    int64_t widest = std::max(config.hidden, config.ffn);
    for (const LayerConfig& l : config.layers) widest = std::max(widest, int64_t{config.heads} * l.head_dim);
    return widest;
}

int32_t largest_head(const ModelConfig& config) {
    int32_t largest = 0;
    for (const LayerConfig& l : config.layers) largest = std::max(largest, l.head_dim);
    return largest;
}

Result<void> Workspace::reserve(runtime::Device& device, const ModelConfig& config, int32_t wanted) {
    if (wanted <= columns) return {};
    int64_t q_width = 0, kv_width = 0;
    for (const LayerConfig& l : config.layers) {
        q_width = std::max(q_width, int64_t{config.heads} * l.head_dim);
        kv_width = std::max(kv_width, int64_t{l.kv_heads} * l.head_dim);
    }
    columns = 0;  // until all are there
    identity = runtime::new_identity();
    for (auto* b : {&normed, &branch}) LAP_TRY(allocate_rows(device, *b, wanted, config.hidden));
    LAP_TRY(allocate_rows(device, x, wanted, config.hidden, runtime::MemoryKind::readback));
    for (auto* b : {&q, &heads}) LAP_TRY(allocate_rows(device, *b, wanted, q_width));
    for (auto* b : {&k, &v}) LAP_TRY(allocate_rows(device, *b, wanted, kv_width));
    for (auto* b : {&gate, &up}) LAP_TRY(allocate_rows(device, *b, wanted, config.ffn));
    if (!logits) LAP_TRY(allocate_rows(device, logits, kLogitsRows, config.vocab, runtime::MemoryKind::readback));
    if (!candidates)
        LAP_TRY(allocate_rows(device, candidates, kLogitsRows, 2 * kMaxCandidates, runtime::MemoryKind::readback));
    columns = wanted;
    return {};
}

Result<void> Workspace::reserve_media(runtime::Device& device, const ModelConfig& config) {
    int64_t input_width = config.audio ? config.audio->samples_per_token : 0, embedded_width = 0;
    if (config.vision) {
        input_width = std::max<int64_t>(input_width, config.vision->patch_values());
        embedded_width = config.vision->embed_dim;
    }
    // A projector may join later: what was made without it lacks its buffers.
    if (input_width <= media.input_width && (embedded_width == 0 || media.embedded)) return {};
    media = {};
    media.identity = runtime::new_identity();
    LAP_TRY(allocate_rows(device, media.input, kMediaRows, input_width));
    LAP_TRY(allocate_rows(device, media.out, kMediaRows, config.hidden, runtime::MemoryKind::readback));
    if (embedded_width > 0)
        for (auto* b : {&media.embedded, &media.across, &media.down})
            LAP_TRY(allocate_rows(device, *b, kMediaRows, embedded_width));
    media.input_width = input_width;
    return {};
}

}  // namespace lapidary::model
