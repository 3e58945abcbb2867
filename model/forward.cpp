// tokens -> embed -> layers -> logits. Everything else in this folder serves this file.
// Axes: T tokens of the step, D width, V vocabulary. Formulas: the transformers class Gemma4Unified.
#include "model/forward.h"

#include <algorithm>
#include <cmath>

#include "base/try.h"

namespace lapidary::model {
namespace {

using runtime::Device;
using runtime::Format;
using runtime::TensorView;
using runtime::view;

// [T, D]: table rows times sqrt(D); picture and sound rows replace theirs, unscaled.
void embed(const Network& net, Device& device, const Step& step, Workspace& ws) {
    const int64_t width = net.config.hidden;
    const TensorView x = view(ws.x, Format::f32, step.shape.columns, width);
    device.embed_rows(net.weights.embed, std::sqrt(static_cast<float>(width)), x);
    for (const SoftRows* s : step.soft) {
        const int32_t from = std::max(s->position, step.params.position);
        const int32_t to = std::min(s->position + s->count, step.params.position + step.shape.columns);
        const int64_t row = from - step.params.position;
        device.write(x.row_range(row, row + to - from), s->rows.data() + (from - s->position) * width);
    }
}

// Final norm, tied head and soft cap for the last rows_wanted columns, a few rows at a time.
Result<void> logits(const Network& net, Device& device, const Step& step, Workspace& ws, const RowSink& sink) {
    const ModelConfig& c = net.config;
    const int32_t wanted = step.shape.rows_wanted;
    const TensorView x = view(ws.x, Format::f32, step.shape.columns, c.hidden);
    device.label("output", -1);
    for (int32_t row = 0; row < wanted; row += kLogitsRows) {
        const int32_t n = std::min(kLogitsRows, wanted - row);
        const int64_t first = step.shape.columns - wanted + row;
        const TensorView normed = view(ws.normed, Format::f32, n, c.hidden);
        const TensorView out = view(ws.logits, Format::f32, n, c.vocab);
        const runtime::MatmulPart head{.weights = net.weights.embed, .out = out, .name = "head"};
        device.matmul({&head, 1}, {x.row_range(first, first + n), net.weights.final_norm, c.rms_eps, normed});
        if (c.soft_cap > 0) device.soft_cap(out, c.soft_cap);
        LAP_TRY(device.wait(device.submit()));
        const float* values = device.read(out);
        for (int32_t i = 0; i < n; ++i)
            if (!sink(row + i, {values + int64_t{i} * c.vocab, static_cast<size_t>(c.vocab)})) return {};
    }
    return {};
}

}  // namespace

Result<void> forward(const Network& net, Device& device, const Step& step, KvCache& kv, Workspace& ws,
                     const LayerSink& go_on, const RowSink& sink) {
    if (!device.replay(step.shape, step.params)) {
        device.begin(step.shape, step.params);
        device.label("input", -1);
        embed(net, device, step, ws);
        for (size_t l = 0; l < net.weights.layers.size(); ++l) {
            if (!go_on(l)) return Error{Errc::cancelled, "stopped on request"};
            device.label(net.config.layers[l].kind == LayerKind::sliding ? "sliding" : "global", static_cast<int32_t>(l));
            const bool is_last = l + 1 == net.weights.layers.size();
            run_layer(net, device, l, step, is_last ? step.shape.rows_wanted : step.shape.columns, kv, ws);
        }
        device.end();
    }
    return logits(net, device, step, ws, sink);
}

}  // namespace lapidary::model
