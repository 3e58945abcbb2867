// tokens -> embed -> layers -> logits. Everything else in this folder serves this file.
// Axes: T tokens of the step, D width, V vocabulary. Formulas: the transformers class Gemma4Unified.
#include "model/forward.h"

#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "model/scores.h"
#include "runtime/run_recorded.h"
#include "runtime/trace/recorder.h"

namespace lapidary::model {
namespace {

using runtime::Device;
using runtime::Format;
using runtime::StepKey;
using runtime::TensorView;
using runtime::view;

// [T, D]: table rows times sqrt(D); picture and sound rows replace theirs, unscaled.
void embed(const Stage& s, const StepKey& key) {
    const TensorView x = residual(s, key.shape.columns);
    s.device.embed_rows(s.net.weights.embed, runtime::Entry::ids, std::sqrt(static_cast<float>(x.cols)), x);
    if (key.shape.row_width > 0) s.device.input_rows(Device::Rows::without_id, x);
}

void note(const Stage& s, const StepKey& key) {
    const int32_t columns = key.shape.columns, wanted = key.shape.rows_wanted;
    s.device.layer("input", -1);
    if (s.first == 0)
        embed(s, key);
    else if (key.shape.row_width > 0)
        s.device.input_rows(Device::Rows::all, residual(s, columns));
    for (int32_t l = s.first; l < s.last; ++l) {
        const bool sliding = s.net.config.layers[static_cast<size_t>(l)].kind == LayerKind::sliding;
        if (!s.device.layer(sliding ? "sliding" : "global", l)) return;
        run_layer(s, l, columns, s.ends_model() && l + 1 == s.last ? key.shape.leaving : columns);
    }
    if (key.shape.scored > 0) note_head(s, key, columns - wanted, key.shape.scored);
}

}  // namespace

Result<const float*> read_residual(const Stage& s, const Step& step) {
    return runtime::read_floats(s.device, residual(s, step.columns()));
}

Result<void> run_stage(const Stage& s, const Step& step, const float* given, const runtime::StepWatch& watch,
                       const std::function<void()>& taken) {
    const StepKey key = key_of(s, step, given != nullptr);
    const auto fill = [&](const runtime::StepInputs& inputs) {
        runtime::Recorder* const recorder = given ? s.recorder : nullptr;
        if (recorder) recorder->layer("hand-over", -1);
        const runtime::Recorded op(recorder, "residual", [&] { return runtime::move_cost(residual(s, step.columns()), 2); });
        write_inputs(s.net.config, s.kv, step, given, inputs);
        if (taken) taken();
    };
    return runtime::run_recorded(s.device, key, watch, fill, [&] { note(s, key); });
}

Result<void> forward(std::span<const Stage> stages, const Step& step, const runtime::StepWatch& watch,
                     const ResidualSink& residuals, const RowSink& sink) {
    const std::vector<Stage> pieces = cut(stages, step.observed);
    const float* x = nullptr;
    for (const Stage& s : pieces) {
        LAP_TRY(run_stage(s, step, x, watch));
        if (s.first < s.last && std::count(step.observed.begin(), step.observed.end(), s.last - 1) > 0) {
            LAP_ASSIGN(const float* rows, read_residual(s, step));
            residuals(s.last - 1, {rows, static_cast<size_t>(step.columns()) * s.net.config.hidden});
        }
        if (&s == &pieces.back()) return hand_out(s, step, sink);
        x = nullptr;
        if (&(&s + 1)->ws == &s.ws) continue;
        LAP_ASSIGN(x, read_residual(s, step));
    }
    return {};
}

}  // namespace lapidary::model
