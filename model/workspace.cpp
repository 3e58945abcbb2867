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

Workspace::Widths::Widths(const ModelConfig& config) {
    for (const LayerConfig& l : config.layers) {
        q = std::max(q, int64_t{config.heads} * l.head_dim);
        kv = std::max(kv, int64_t{l.kv_heads} * l.head_dim);
    }
}

Workspace::MediaWidths::MediaWidths(const ModelConfig& config) {
    if (config.audio) input = config.audio->samples_per_token;
    if (config.vision) {
        input = std::max<int64_t>(input, config.vision->patch_values());
        embedded = config.vision->embed_dim;
    }
}

uint64_t Workspace::column_bytes(const ModelConfig& config) {
    const Widths w(config);
    return static_cast<uint64_t>(3 * config.hidden + 2 * w.q + 2 * w.kv + 2 * config.ffn) * sizeof(float);
}

uint64_t Workspace::row_bytes(const ModelConfig& config) {
    return uint64_t{kLogitsRows} * (static_cast<uint64_t>(config.vocab) + 2 * kMaxCandidates) * sizeof(float);
}

uint64_t Workspace::media_bytes(const ModelConfig& config) {
    const MediaWidths w(config);
    return uint64_t{kMediaRows} * static_cast<uint64_t>(w.input + 3 * w.embedded + config.hidden) * sizeof(float);
}

Result<void> Workspace::reserve(runtime::Device& device, const ModelConfig& config, int32_t wanted) {
    if (wanted <= columns) return {};
    const Widths w(config);
    columns = 0;  // until all are there
    identity = runtime::new_identity();
    for (auto* b : {&normed, &branch}) LAP_TRY(allocate_rows(device, *b, wanted, config.hidden));
    LAP_TRY(allocate_rows(device, x, wanted, config.hidden, runtime::MemoryKind::readback));
    for (auto* b : {&q, &heads}) LAP_TRY(allocate_rows(device, *b, wanted, w.q));
    for (auto* b : {&k, &v}) LAP_TRY(allocate_rows(device, *b, wanted, w.kv));
    for (auto* b : {&gate, &up}) LAP_TRY(allocate_rows(device, *b, wanted, config.ffn));
    if (!logits) LAP_TRY(allocate_rows(device, logits, kLogitsRows, config.vocab, runtime::MemoryKind::readback));
    if (!candidates)
        LAP_TRY(allocate_rows(device, candidates, kLogitsRows, 2 * kMaxCandidates, runtime::MemoryKind::readback));
    columns = wanted;
    return {};
}

uint64_t Workspace::growth(const ModelConfig& config, int32_t wanted) const {
    return static_cast<uint64_t>(std::max(0, wanted - columns)) * column_bytes(config) + (logits ? 0 : row_bytes(config));
}

Result<void> Workspace::reserve_media(runtime::Device& device, const ModelConfig& config) {
    const MediaWidths w(config);
    // A projector may join later: what was made without it lacks its buffers.
    if (w.input <= media.input_width && (w.embedded == 0 || media.embedded)) return {};
    media = {};
    media.identity = runtime::new_identity();
    LAP_TRY(allocate_rows(device, media.input, kMediaRows, w.input));
    LAP_TRY(allocate_rows(device, media.out, kMediaRows, config.hidden, runtime::MemoryKind::readback));
    if (w.embedded > 0)
        for (auto* b : {&media.embedded, &media.across, &media.down})
            LAP_TRY(allocate_rows(device, *b, kMediaRows, w.embedded));
    media.input_width = w.input;
    return {};
}

}  // namespace lapidary::model
