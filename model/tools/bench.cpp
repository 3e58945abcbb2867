// Throughput of prompt processing (pp), generation (tg) and steps of several columns (cols): opens the engine, goes
// through the cases, and hands out a row for each. How one is measured: bench/runner.cpp.
#include <algorithm>
#include <new>

#include "base/try.h"
#include "model/tools/bench/cases.h"
#include "model/tools/bench/runner.h"
#include "model/tools/bench/summary.h"
#include "model/tools/bench/warnings.h"
#include "model/synth/memory.h"
#include "model/synth/options.h"
#include "model/tools/rates/calibrator.h"
#include "runtime/cpu/awake.h"

namespace lapidary {
namespace {

using model::BenchCase;
using model::BenchRunner;
using model::Calibrator;
using model::Repetition;

// Nobody named a context: the longest test asked for it.
Error told_by_tests(Error error) {
    if (error.code == Errc::invalid_argument && error.hint.find("EngineOptions::context") != std::string::npos)
        error.hint = "make BenchOptions::prompt, BenchOptions::generate or BenchOptions::depth smaller";
    return error;
}

Result<Engine> open_synthetic(const BenchOptions& o, const EngineOptions& options) {
    const auto started = std::chrono::steady_clock::now();
    LAP_TRY(check_engine(options, model::kSynthContext));  // weights take half a minute to make
    LAP_ASSIGN(const Plan planned, plan({.engine = options, .synthetic = o.synthetic, .type = o.type, .layers = o.layers}));
    if (!planned.fits) return refusal(planned);
    LAP_ASSIGN(const auto synthetic, synth_options({.preset = o.synthetic, .type = o.type, .layers = o.layers}));
    LAP_ASSIGN(auto loaded, model::synthetic_model(synthetic));
    return make_engine(options, std::move(loaded), started);
}

Result<Engine> open(const BenchOptions& o) {
    EngineOptions options = o.engine;
    const bool derived = options.context == 0;
    if (derived) options.context = model::bench_context(o);
    auto opened = o.synthetic.empty() ? Engine::open(options) : open_synthetic(o, options);
    if (!opened && derived) return told_by_tests(opened.error());
    return opened;
}

// Counts the work of all repetitions, for who waits.
class Rounds {
  public:
    explicit Rounds(const BenchOptions& options) : sink_(options.progress) {
        total_ = model::all_work(options);
        rounds_ = model::bench_cases(options).size() * static_cast<size_t>(options.repetitions);
    }

    Result<Repetition> run(BenchRunner& runner, const BenchCase& what) {
        stage_ = std::to_string(++round_) + "/" + std::to_string(rounds_) + " " + what.name();
        if (what.depth > 0) stage_ += " @ d" + std::to_string(what.depth);
        if (!tell(0)) return Error{Errc::cancelled, "the bench was stopped"};
        LAP_TRY(runner.prepare(what.depth, [&](int64_t work) { return tell(work); }));
        const int64_t begin = done_, end = begin + what.work();
        LAP_ASSIGN(Repetition repetition, runtime::awake([&] {
                       done_ = begin;
                       return runner.run(what, [&](int64_t work) { return tell(work); });
                   }));
        if (!tell(end - done_)) return Error{Errc::cancelled, "the bench was stopped"};
        return repetition;
    }

  private:
    bool tell(int64_t work) {
        done_ += work;
        return !sink_ || sink_(stage_, static_cast<uint64_t>(done_), static_cast<uint64_t>(total_));
    }

    const ProgressSink& sink_;
    std::string stage_;
    size_t round_ = 0, rounds_ = 0;
    int64_t done_ = 0, total_ = 0;
};

// Of layers like the engine's, on the devices that it computes on.
CalibrateOptions calibration_of(const BenchOptions& options, const Engine& engine) {
    constexpr int32_t kSmall = 1024;  // of the hidden width
    const ModelInfo& info = engine.info();
    CalibrateOptions out{.engine = options.engine, .preset = info.hidden < kSmall ? "tiny" : "12b", .cancel = options.cancel};
    if (synth_options({.preset = out.preset, .type = info.type})) out.type = info.type;
    out.engine.placement = info.gpu.empty() ? Placement::cpu : Placement::gpu;
    out.engine.device = info.gpu;
    out.engine.gpu_layers.reset();
    out.engine.gpu_share.reset();
    return out;
}

// What the planner says a test will do, by rates that are kept or measured between the passes.
class Prediction {
  public:
    // Of an engine that these options opened.
    static Result<Prediction> create(const BenchOptions& options, const Engine& engine) {
        const model::EngineState& state = model::Access::state(engine);
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

    // Before and behind each repetition: measures, if that was asked for.
    Result<void> round() { return calibrator_ ? calibrator_->round(kRoundSeconds) : Result<void>(); }

    // Of the test whose repetitions are done; what was measured between them is forgotten. 0: not known.
    double tokens_per_second(const BenchCase& what) {
        if (calibrator_) {
            const runtime::MeasuredRates rates = calibrator_->rates();
            machine_.cpu = rates.cpu;
            if (machine_.gpu && rates.gpu) machine_.gpu->rates = *rates.gpu;
            machine_.handover_s = rates.handover_s;
            machine_.meeting_s = rates.meeting_s;
            calibrator_->forget();
        }
        if (what.kind == BenchCase::Kind::columns) return 0;  // rows of logits for all of them are in no plan
        const bool prompt = what.kind == BenchCase::Kind::prompt;
        const double seconds = prompt ? runtime::prefill_seconds(model_, machine_, placement_, kv_, what.n, what.depth)
                                      : what.n * runtime::decode_seconds(model_, machine_, placement_, kv_, what.depth + what.n / 2);
        return seconds > 0 ? what.n / seconds : 0;
    }

  private:
    static constexpr double kRoundSeconds = 0.1;  // of each kind of step

    runtime::ModelFacts model_;
    runtime::MachineFacts machine_;
    runtime::PlannedPlacement placement_;
    runtime::KvFormat kv_ = runtime::KvFormat::f16;
    std::optional<Calibrator> calibrator_;
};

Result<BenchRow> measure(const Engine& engine, BenchRunner& runner, Prediction& prediction, Rounds& rounds, const BenchCase& what,
                         int repetitions, bool made_up) {
    auto* recorders = model::Access::state(engine).recorders.get();
    if (recorders) recorders->clear_totals();
    const runtime::Conditions before = runtime::read_conditions("/");
    std::vector<Repetition> done;
    LAP_TRY(prediction.round());
    for (int r = 0; r < repetitions; ++r) {
        LAP_ASSIGN(Repetition repetition, rounds.run(runner, what));
        done.push_back(std::move(repetition));
        LAP_TRY(prediction.round());
    }
    BenchRow row = model::summarise(what, done);
    row.predicted_tps = prediction.tokens_per_second(what);
    model::describe_engine(engine, row);
    row.probe_bytes = runner.probe_bytes();
    row.warnings = model::bench_warnings(done, before, runtime::read_conditions("/"), row.threads,
                                         row.peak_instruction);
    if (what.depth > 0 && made_up)
        row.warnings.push_back("the " + std::to_string(what.depth) +
                               " tokens in front are made up: speed only, the logits mean nothing");
    row.profile = profile(engine);
    return row;
}

}  // namespace

Result<TraceReport> bench(const BenchOptions& options, const BenchSink& sink) try {
    LAP_TRY(model::check_bench(options));
    LAP_ASSIGN(const Engine engine, open(options));
    if (options.opened) options.opened(engine.info());
    LAP_ASSIGN(BenchRunner runner, BenchRunner::create(engine, options.fill, options.cancel));
    const int warm_up = std::min(model::kWarmUpTokens, static_cast<int>(engine.info().context));
    LAP_TRY(runner.prepare(0));
    LAP_TRY(runner.run({BenchCase::Kind::prompt, warm_up, 0}));  // pages, caches, clocks
    LAP_ASSIGN(Prediction prediction, Prediction::create(options, engine));
    Rounds rounds(options);
    for (const BenchCase& what : model::bench_cases(options)) {
        LAP_ASSIGN(const BenchRow row, measure(engine, runner, prediction, rounds, what, options.repetitions, options.fill));
        if (sink && sink(row) != Flow::go) break;
    }
    if (options.trace.empty()) return TraceReport{};
    return write_trace(engine, options.trace);
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
