// The head of a step, and its rows brought back a few at a time. Axes: T tokens of the step, D width, V
// vocabulary.
#include "model/scores.h"

#include <algorithm>

#include "base/try.h"
#include "runtime/run_recorded.h"

namespace lapidary::model {

using runtime::Format;
using runtime::StepKey;
using runtime::StepKind;
using runtime::TensorView;
using runtime::view;

void note_head(const Stage& s, const StepKey& key, int32_t first, int32_t count) {
    const ModelConfig& c = s.net.config;
    const TensorView x = residual(s, key.shape.columns).row_range(first, first + count);
    const TensorView normed = view(s.ws.normed, Format::f32, count, c.hidden);
    const TensorView out = view(s.ws.logits, Format::f32, count, c.vocab);
    const runtime::MatmulPart part{.weights = s.net.weights.embed, .out = out, .name = "head"};
    s.device.layer("output", -1);
    s.device.matmul({&part, 1}, {x, s.net.weights.final_norm, c.rms_eps, normed});
    if (c.soft_cap > 0) s.device.soft_cap(out, c.soft_cap);
    const int32_t k = key.shape.candidates;
    if (k > 0) s.device.top_k(out, k, view(s.ws.candidates, Format::f32, count, 2 * k));
}

namespace {

// The head of further rows, from `row` on among those wanted, in a recording of its own.
Result<void> run_head(const Stage& s, const Step& step, int32_t row, int32_t count) {
    StepKey key = key_of(s, step, false);
    key.shape.kind = StepKind::rows;
    key.shape.row_width = 0;
    key.shape.scored = count;
    key.first_row = row;
    const auto fill = [&](const runtime::StepInputs& inputs) {
        std::copy(step.mask.begin(), step.mask.end(), inputs.mask());
    };
    return runtime::run_recorded(s.device, key, {}, fill,
                                 [&] { note_head(s, key, step.columns() - step.rows_wanted + row, count); });
}

}  // namespace

Result<void> hand_out(const Stage& s, const Step& step, const RowSink& sink) {
    for (int32_t row = 0; row < step.rows_wanted; row += kLogitsRows) {
        const int32_t n = std::min(kLogitsRows, step.rows_wanted - row);
        if (row > 0) LAP_TRY(run_head(s, step, row, n));
        const auto k = static_cast<size_t>(step.candidates);
        const runtime::Candidate* best = nullptr;
        if (k > 0) {
            LAP_ASSIGN(const float* read, runtime::read_floats(s.device, view(s.ws.candidates, Format::f32, n, step.candidates * 2)));
            best = reinterpret_cast<const runtime::Candidate*>(read);
        }
        const TensorView logits = view(s.ws.logits, Format::f32, n, s.net.config.vocab);
        for (int32_t i = 0; i < n; ++i) {
            LAP_ASSIGN(const bool more, sink(row + i, Scores(s.device, logits.row_range(i, i + 1), {best + (best ? i * k : 0), k})));
            if (!more) return {};
        }
    }
    return {};
}

Result<std::span<const float>> Scores::all() const {
    LAP_ASSIGN(const float* values, runtime::read_floats(device_, logits_));
    return std::span(values, static_cast<size_t>(logits_.cols));
}

}  // namespace lapidary::model
