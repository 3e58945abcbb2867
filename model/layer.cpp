// One transformer block. Axes: T tokens, R the last columns that leave the block, D width, F ffn,
// H query heads, G kv heads, K head size. Specification text-core 2.4 to 2.9.
#include <array>

#include "model/forward.h"

namespace lapidary::model {
namespace {

using runtime::Device;
using runtime::Format;
using runtime::MatmulPart;
using runtime::TensorView;
using runtime::view;

// The branch of attention: normed x in, ws.branch [R, D] out; keys and values of all T columns are stored.
void attend(const Stage& s, int32_t index, int32_t columns, int32_t rows) {
    Device& device = s.device;
    Workspace& ws = s.ws;
    const ModelConfig& c = s.net.config;
    const LayerConfig& l = c.layers[static_cast<size_t>(index)];
    const LayerWeights& w = s.net.weights.layers[static_cast<size_t>(index)];

    const TensorView x = view(ws.x, Format::f32, columns, c.hidden);
    const TensorView normed = view(ws.normed, Format::f32, columns, c.hidden);
    const TensorView q = view(ws.q, Format::f32, rows, int64_t{c.heads} * l.head_dim);
    const TensorView k = view(ws.k, Format::f32, columns, int64_t{l.kv_heads} * l.head_dim);
    const TensorView v = l.k_eq_v ? k : view(ws.v, Format::f32, columns, k.cols);

    // Where every column leaves the block, queries are part of the same product.
    const bool all = rows == columns;
    const runtime::MatmulInput in(x, w.attn_norm, c.rms_eps, normed);
    std::array<MatmulPart, 3> parts;
    size_t count = 0;
    parts[count++] = {.weights = w.k, .out = k, .name = "k"};
    if (!l.k_eq_v) parts[count++] = {.weights = w.v, .out = v, .name = "v"};
    if (all) parts[count++] = {.weights = w.q, .out = q, .name = "q"};
    device.matmul({parts.data(), count}, in);
    runtime::KvView cache = s.kv.layer(index, columns, ws.kv);
    cache.key_weight = w.k_norm;
    device.norm_rope_store(k, v, w.k_norm, c.rms_eps, cache);
    if (rows > 0) {
        const TensorView heads = view(ws.heads, Format::f32, rows, q.cols);
        const MatmulPart queries{.weights = w.q, .out = q, .name = "q"};
        if (!all) device.matmul({&queries, 1}, normed.row_range(columns - rows, columns));
        device.norm_rope(q, w.q_norm, c.rms_eps, cache.kv_class);
        device.attention(q, cache, heads);
        const MatmulPart output{.weights = w.o, .out = view(ws.branch, Format::f32, rows, c.hidden), .name = "o"};
        device.matmul({&output, 1}, heads);
    }
    if (cache.scratch) device.commit_kv(cache);
}

// The branch of the feed-forward network: normed x [R, D] in, ws.branch [R, D] out.
void feed_forward(const Stage& s, const LayerWeights& w, const TensorView& x) {
    const ModelConfig& c = s.net.config;
    const TensorView normed = view(s.ws.normed, Format::f32, x.rows, c.hidden);
    const TensorView gate = view(s.ws.gate, Format::f32, x.rows, c.ffn);
    const TensorView up = view(s.ws.up, Format::f32, x.rows, c.ffn);
    s.device.gated_matmul(w.gate, w.up, {x, w.ffn_norm, c.rms_eps, normed}, up, gate);
    const MatmulPart down{.weights = w.down, .out = view(s.ws.branch, Format::f32, x.rows, c.hidden), .name = "down"};
    s.device.matmul({&down, 1}, gate);
}

}  // namespace

void run_layer(const Stage& s, int32_t index, int32_t columns, int32_t rows) {
    const ModelConfig& c = s.net.config;
    const LayerWeights& w = s.net.weights.layers[static_cast<size_t>(index)];
    attend(s, index, columns, rows);
    if (rows == 0) return;
    const TensorView x = view(s.ws.x, Format::f32, columns, c.hidden).row_range(columns - rows, columns);
    const TensorView branch = view(s.ws.branch, Format::f32, rows, c.hidden);
    s.device.add_norm(x, branch, w.post_attn_norm, c.rms_eps, 1.0f);
    feed_forward(s, w, x);
    s.device.add_norm(x, branch, w.post_ffn_norm, c.rms_eps, w.scale);  // layer_scalar: of the whole residual
}

}  // namespace lapidary::model
