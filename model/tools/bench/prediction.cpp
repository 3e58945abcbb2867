// The planner's model of time, asked for one test; see prediction.h.
#include "model/tools/bench/prediction.h"

#include <algorithm>
#include <cctype>

#include "base/try.h"
#include "model/access.h"
#include "model/engine_state.h"
#include "model/synth/options.h"

namespace lapidary::model {
namespace {

constexpr double kRoundSeconds = 0.1;  // of each kind of step, between two passes

// Of layers like the engine's, on the devices that it computes on.
CalibrateOptions calibration_of(const BenchOptions& options, const Engine& engine) {
    constexpr int32_t kSmall = 1024;  // of the hidden width
    const ModelInfo& info = engine.info();
    CalibrateOptions out{.engine = options.engine, .preset = info.hidden < kSmall ? "tiny" : "12b", .cancel = options.cancel};
    std::string type = info.type;
    std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (synth_options({.preset = out.preset, .type = type})) out.type = type;
    out.engine.placement = info.gpu.empty() ? Placement::cpu : Placement::gpu;
    out.engine.device = info.gpu;
    out.engine.gpu_layers.reset();
    out.engine.gpu_share.reset();
    return out;
}

}  // namespace

Result<Prediction> Prediction::create(const BenchOptions& options, const Engine& engine) {
    const EngineState& state = Access::state(engine);
    Prediction out;
    LAP_ASSIGN(out.model_, facts_of(options.engine, state.loaded, engine.info().context));
    LAP_ASSIGN(out.machine_, this_machine(options.engine));
    out.placement_ = state.placement;
    out.kv_ = state.kv_format();
    if (!options.calibrate) return out;
    LAP_ASSIGN(out.calibrator_, Calibrator::open(calibration_of(options, engine)));
    LAP_TRY(out.calibrator_->round_together(kRoundSeconds));
    return out;
}

Result<void> Prediction::round() { return calibrator_ ? calibrator_->round(kRoundSeconds) : Result<void>(); }

double Prediction::tokens_per_second(const BenchCase& what) {
    if (calibrator_) {
        const runtime::MeasuredRates rates = calibrator_->rates();
        machine_.cpu = rates.cpu;
        if (machine_.gpu && rates.gpu) machine_.gpu->rates = *rates.gpu;
        machine_.handover_s = rates.handover_s;
        calibrator_->forget();
    }
    if (what.kind == BenchCase::Kind::columns) return 0;  // rows of logits for all of them are in no plan
    const bool prompt = what.kind == BenchCase::Kind::prompt;
    const double seconds = prompt ? runtime::prefill_seconds(model_, machine_, placement_, kv_, what.n, what.depth)
                                  : what.n * runtime::decode_seconds(model_, machine_, placement_, kv_, what.depth + what.n / 2);
    return seconds > 0 ? what.n / seconds : 0;
}

}  // namespace lapidary::model
