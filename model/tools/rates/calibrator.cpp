// Medians of rounds, and rates from them; see calibrator.h.
#include "model/tools/rates/calibrator.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/describe.h"
#include "base/try.h"
#include "model/plan_facts.h"
#include "model/session_state.h"
#include "model/synth/memory.h"
#include "model/synth/options.h"
#include "model/tools/bench/statistics.h"
#include "runtime/cpu/awake.h"
#include "runtime/cpu/thread_pool.h"

namespace lapidary::model {
namespace {

constexpr int32_t kLayers = 7;  // five sliding ones, a full one, and a last one, of which a prompt needs little
constexpr int32_t kOnGpu = kLayers / 2;   // where they are split
constexpr int32_t kLong = 512, kSome = 4;  // columns
// Of rows, so that of each product the CPU has a panel or more.
double all_but_a_sliver(const CalibrateOptions& options) { return options.preset == "12b" ? 0.98 : 0.5; }

// Where attention is timed: of a long step, and of one token, which reads so much less beside the weights.
struct Depths {
    int32_t many, one;
};
Depths depths_of(const CalibrateOptions& options) { return options.preset == "12b" ? Depths{8192, 65536} : Depths{1024, 4096}; }

Result<SynthOptions> layers_of(const CalibrateOptions& o) {
    return synth_options({.preset = o.preset, .type = o.type, .layers = kLayers});
}

EngineOptions engine_of(const CalibrateOptions& options) {
    EngineOptions engine = options.engine;
    engine.context = static_cast<uint32_t>(depths_of(options).one + 2 * kLong);
    engine.model.clear();
    engine.progress = {};
    engine.precise = false;
    engine.research.prefill_chunk = kLong;
    engine.research.profile = false;
    engine.research.trace_events = 0;
    engine.sessions = 64;  // one after the other
    return engine;
}

// Two engines at most stand there at once, each with all layers and the embedding.
Result<void> check_memory(const CalibrateOptions& options, const EngineOptions& engine, bool with_gpu) {
    LAP_ASSIGN(const SynthOptions layers, layers_of(options));
    LAP_ASSIGN(const auto shapes, synthetic_model(layers, Filled::no));
    LAP_ASSIGN(const runtime::MachineFacts machine, this_machine(engine));
    const uint64_t wanted = shapes.weights.bytes * (with_gpu ? 3 : 2);  // one of them while it is made
    if (wanted <= machine.usable_bytes) return {};
    return Error{Errc::does_not_fit,
                 concat("measuring needs ", runtime::gibibytes(wanted), " of memory, and ", runtime::gibibytes(machine.usable_bytes), " are free"),
                 "close other programs"};
}

Result<Subject> subject_on(const CalibrateOptions& options, const EngineOptions& engine, const runtime::PlannedPlacement& placement) {
    LAP_ASSIGN(const SynthOptions layers, layers_of(options));
    return Subject::open(layers, engine, placement, options.cancel);
}

// Of one token on both devices, laid out like this.
Result<double> token_seconds(const CalibrateOptions& options, const EngineOptions& engine, const runtime::PlannedPlacement& placement) {
    LAP_ASSIGN(Subject subject, subject_on(options, engine, placement));
    std::vector<double> times;
    LAP_TRY(subject.seconds({1}));
    const Stopwatch all;
    do {
        LAP_ASSIGN(const double t, subject.seconds({1}));
        times.push_back(t);
    } while (all.seconds() < options.seconds || times.size() < 3);
    return median(times);
}

}  // namespace

Result<Subject> Subject::open(const SynthOptions& layers, const EngineOptions& engine, const runtime::PlannedPlacement& placement,
                              std::stop_token cancel) {
    LAP_ASSIGN(LoadedModel loaded, synthetic_model(layers));
    Subject subject;
    LAP_ASSIGN(subject.facts_, facts_of(engine, loaded, engine.context));
    const LayerWeights& last = loaded.weights.layers.back();
    for (const runtime::TensorView* m : {&last.k, &last.v})
        if (*m) subject.last_kv_macs_ += static_cast<double>(m->rows) * static_cast<double>(m->cols);
    const auto maker = [placement](const EngineOptions& o, const LoadedModel& m, Attempt a) { return planned_parts(placement, o, m, a); };
    LAP_ASSIGN(Engine opened, make_engine(engine, std::move(loaded), std::chrono::steady_clock::now(), Packing::now, maker));
    subject.engine_ = std::move(opened);
    subject.cancel_ = std::move(cancel);
    return subject;
}

Subject::Work Subject::work(int32_t columns) const {
    Work out{facts_.head_macs - (facts_.layers.back().macs - last_kv_macs_) * (columns - 1), static_cast<double>(facts_.embedding_bytes)};
    for (const runtime::LayerFacts& l : facts_.layers) {
        out.macs += l.macs * columns;
        out.bytes += static_cast<double>(l.weight_bytes);
    }
    return out;
}

double Subject::attention_macs(const Step& step) const {
    double macs = 0;
    for (const runtime::LayerFacts& l : facts_.layers) {
        const auto keys = [&](double at) { return l.ring ? std::min(at, static_cast<double>(facts_.window)) : at; };
        const int32_t queries = &l == &facts_.layers.back() ? 1 : step.columns;
        macs += l.key_macs * queries * (keys(step.depth + step.columns / 2.0) - keys(step.columns / 2.0));
    }
    return macs;
}

std::vector<int32_t> Subject::ids(int32_t count) const {
    std::vector<int32_t> out;
    for (int32_t i = 0; i < count; ++i) out.push_back((10 + 7 * i) % engine_->info().vocab);
    return out;
}

// A session with this past, whose steps before are undone.
Result<Session*> Subject::past(const Step& step) {
    const auto key = std::pair(step.depth, step.kv);
    auto found = pasts_.find(key);
    if (found == pasts_.end()) {
        LAP_ASSIGN(Session fresh, engine_->new_session());
        SessionState& state = Access::state(fresh);
        state.stays = true;
        state.engine->info.kv = step.kv;  // that caches are made in
        LAP_TRY(state.make_caches());
        if (step.depth > 0) LAP_TRY(state.pretend(ids(step.depth)));
        found = pasts_.emplace(key, std::move(fresh)).first;
    }
    LAP_TRY(found->second.rewind(static_cast<uint32_t>(step.depth)));
    return &found->second;
}

Result<double> Subject::seconds(const Step& step) {
    return runtime::awake([&] { return timed(step); });
}

Result<double> Subject::timed(const Step& step) {
    LAP_ASSIGN(Session* session, past(step));
    std::optional<Session> fork;  // a long step leaves the windows behind it: there is no way back
    if (step.depth > 0 && step.columns > 1) {
        LAP_ASSIGN(fork, session->fork());
        session = &*fork;
    }
    LAP_ASSIGN(const Prompt prompt, engine_->tokens(ids(step.columns)));
    LAP_TRY(session->append(prompt));
    const Stopwatch watch;
    LAP_TRY(session->forward({.cancel = cancel_}, [](int64_t, std::span<const float>) { return Flow::stop; }));
    return watch.seconds();
}

Result<Meter> Meter::open(const CalibrateOptions& options, const EngineOptions& engine, runtime::PlacementKind device) {
    const bool gpu = device == runtime::PlacementKind::gpu;
    LAP_ASSIGN(Subject subject, subject_on(options, engine, {device, gpu ? kLayers : 0, gpu ? 1.0 : 0.0}));
    Meter meter(std::move(subject));
    const Depths depths = depths_of(options);
    const int32_t window = meter.subject_.facts().window;
    meter.steps_ = {{{1}, {kSome}, {16}, {16, depths.many}, {1, window}, {1, depths.one},
                     {1, window, KvFormat::q8_0}, {1, depths.one, KvFormat::q8_0}}};
    LAP_ASSIGN(const int32_t columns, meter.long_step(options.seconds));
    meter.steps_[kMany].columns = meter.steps_[kDeep].columns = columns;
    for (const Subject::Step& step : meter.steps_) LAP_TRY(meter.subject_.seconds(step));
    return meter;
}

// As long as a device computes within two seconds or so, at most kLong tokens: few columns multiply at a lower rate than a
// prompt's (on two cores 16 of them at three quarters of it), but software GPUs take minutes for many.
Result<int32_t> Meter::long_step(double seconds) {
    int32_t columns = 16;
    while (columns < kLong) {
        LAP_ASSIGN(const double t, subject_.seconds({columns}));
        if (t > 2 * seconds) break;  // so that none takes more than four measurements' time
        columns *= 2;
    }
    return columns;
}

Result<void> Meter::round(double seconds) {
    for (size_t i = 0; i < kKinds; ++i) {
        const Stopwatch all;
        do {
            LAP_ASSIGN(const double t, subject_.seconds(steps_[i]));
            seconds_[i].push_back(t);
        } while (all.seconds() < seconds);
    }
    return {};
}

double Meter::median_of(Kind kind) const { return median(seconds_[kind]); }

// Both have full windows in front of them, so that they differ in the layers which see all. 0: by nothing that can be measured.
double Meter::token_rate(Kind near, Kind far) const {
    const double more = median_of(far) - median_of(near);
    const double macs = subject_.attention_macs(steps_[far]) - subject_.attention_macs(steps_[near]);
    return more > median_of(near) / 50 ? macs / more * 1e-9 : 0;
}

runtime::Rates Meter::rates() const {
    const runtime::ModelFacts& facts = subject_.facts();
    const double one = median_of(kOne), many = median_of(kMany);
    runtime::Rates rates;
    rates.read_gbps = subject_.work(1).bytes / one * 1e-9;
    rates.few_gmacs = subject_.work(kSome).macs / median_of(kFew) * 1e-9;
    // The one row of logits reads the head.
    const double head = std::min(many / 2, static_cast<double>(facts.embedding_bytes) / rates.read_gbps * 1e-9);
    rates.many_gmacs = (subject_.work(long_columns()).macs - facts.head_macs) / (many - head) * 1e-9;
    const double more = median_of(kDeep) - many;
    if (more > many / 20) rates.attention_gmacs = subject_.attention_macs(steps_[kDeep]) / more * 1e-9;
    rates.token_f16_gmacs = token_rate(kNearF16, kFarF16);
    rates.token_q8_gmacs = token_rate(kNearQ8, kFarQ8);
    return rates;
}

Result<Calibrator> Calibrator::open(const CalibrateOptions& options) {
    const EngineOptions engine = engine_of(options);
    LAP_ASSIGN(const AskedPlacement asked, asked_placement(engine));
    const bool with_gpu = asked.needs_gpu();
    LAP_TRY(check_memory(options, engine, with_gpu));
    double split_seconds = 0, sliver_seconds = 0;
    if (with_gpu) {  // before the others take their memory
        LAP_ASSIGN(split_seconds, token_seconds(options, engine, {runtime::PlacementKind::layers, kOnGpu, 0}));
        LAP_ASSIGN(sliver_seconds, token_seconds(options, engine, {runtime::PlacementKind::rows, kLayers, all_but_a_sliver(options)}));
    }
    LAP_ASSIGN(Meter cpu, Meter::open(options, engine, runtime::PlacementKind::cpu));
    Calibrator out(std::move(cpu));
    out.split_seconds_ = split_seconds;
    out.sliver_seconds_ = sliver_seconds;
    if (with_gpu) {
        LAP_ASSIGN(out.gpu_, Meter::open(options, engine, runtime::PlacementKind::gpu));
    }
    return out;
}

Result<void> Calibrator::round(double seconds) {
    LAP_TRY(cpu_.round(seconds));
    return gpu_ ? gpu_->round(seconds) : Result<void>();
}

void Calibrator::forget() {
    cpu_.forget();
    if (gpu_) gpu_->forget();
}

// Steps per second of both while both work.
Result<Calibrator::Together> Calibrator::together(Meter& cpu, Meter& gpu, bool long_steps, double seconds) {
    Meter* const meters[] = {&cpu, &gpu};
    double steps[2] = {}, times[2] = {};
    std::array<Result<void>, 2> outcomes;
    std::atomic<int> working = 2;
    runtime::ThreadPool both(2);
    if (both.size() < 2) return Error{Errc::out_of_memory, "the system gives no second thread", "close other programs"};
    both.run(2, [&](int64_t i, int) {
        const auto n = static_cast<size_t>(i);
        const Stopwatch watch;
        // Counted is what began while the other one worked.
        while ((watch.seconds() < seconds || steps[n] == 0) && (working == 2 || steps[n] == 0)) {
            const auto step = meters[n]->subject().seconds({long_steps ? meters[n]->long_columns() : 1});
            if (!step) {
                outcomes[n] = step.error();
                break;
            }
            steps[n] += 1;
            times[n] += *step;
        }
        --working;
    });
    for (const auto& outcome : outcomes) LAP_TRY(outcome);
    return Together{steps[0] / times[0], steps[1] / times[1]};
}

Result<void> Calibrator::round_together(double seconds) {
    if (!gpu_) return {};
    LAP_ASSIGN(reading_, together(cpu_, *gpu_, false, seconds));
    LAP_ASSIGN(multiplying_, together(cpu_, *gpu_, true, seconds));
    return {};
}

runtime::MeasuredRates Calibrator::rates() const {
    runtime::MeasuredRates out{cpu_.rates(), std::nullopt, 0, 0, ""};
    if (!gpu_) return out;
    out.gpu = gpu_->rates();
    const auto keep = [](runtime::Rates& r, const Meter& meter, double reads, double multiplies) {
        r.read_gbps_together = std::min(r.read_gbps, meter.subject().work(1).bytes * reads * 1e-9);
        r.many_gmacs_together = std::min(r.many_gmacs, meter.subject().work(meter.long_columns()).macs * multiplies * 1e-9);
    };
    keep(out.cpu, cpu_, reading_.cpu, multiplying_.cpu);
    keep(*out.gpu, *gpu_, reading_.gpu, multiplying_.gpu);
    // A token's layers on either device, beside what these and the head take alone.
    const runtime::ModelFacts& f = cpu_.subject().facts();
    double alone = static_cast<double>(f.embedding_bytes) / out.gpu->read_gbps;
    for (int32_t i = 0; i < kLayers; ++i)
        alone += static_cast<double>(f.layers[static_cast<size_t>(i)].weight_bytes) / (i < kLayers - kOnGpu ? out.cpu : *out.gpu).read_gbps;
    out.handover_s = std::clamp((split_seconds_ - alone * 1e-9) / 2, 1e-6, 5e-3);
    // With a sliver of every product's rows on the CPU, beside the same on the GPU alone: what remains are the meetings.
    constexpr int32_t kProducts = 4;  // of a layer
    const double on_gpu = cpu_.subject().work(1).bytes / out.gpu->read_gbps * 1e-9;
    out.meeting_s = std::clamp((sliver_seconds_ - on_gpu) / (kProducts * kLayers), 1e-7, 5e-3);
    return out;
}

}  // namespace lapidary::model
