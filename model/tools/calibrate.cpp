// Rates of this machine: layers of the 12B's shapes timed on the CPU, on the GPU, and on both at once.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <new>

#include "base/describe.h"
#include "base/try.h"
#include "base/utc.h"
#include "lapidary/tools.h"
#include "model/rates.h"
#include "model/session_state.h"
#include "model/synth/memory.h"
#include "model/synth/options.h"
#include "runtime/cpu/thread_pool.h"

namespace lapidary {
namespace {

constexpr int32_t kLayers = 7;            // five sliding ones, a full one, and a last one, of which a prompt needs little
constexpr int32_t kLong = 512, kFew = 4;  // columns
constexpr double kAllButASliver = 0.98;   // of rows: of each product the CPU has some panels
// Where attention is timed.
int32_t depth_of(const CalibrateOptions& options) { return options.preset == "12b" ? 8192 : 1024; }

struct Timed {  // a step
    double seconds = 0, macs = 0, bytes = 0;
};

// Steps of one engine on made-up pasts.
class Subject {
  public:
    static Result<Subject> open(const CalibrateOptions& options, const EngineOptions& engine, const runtime::PlannedPlacement& placement) {
        LAP_ASSIGN(const auto synthetic, synth_options({.preset = options.preset, .type = options.type, .layers = kLayers}));
        LAP_ASSIGN(auto loaded, model::synthetic_model(synthetic));
        Subject subject;
        subject.facts_ = model::plan_facts(loaded.config, loaded.weights, {kLong, static_cast<int32_t>(engine.context), 1, false});
        const model::LayerWeights& last = loaded.weights.layers.back();
        for (const runtime::TensorView* m : {&last.k, &last.v})
            if (*m) subject.last_kv_macs_ += static_cast<double>(m->rows) * static_cast<double>(m->cols);
        const auto maker = [placement](const EngineOptions& o, const model::LoadedModel& m, model::Attempt a) {
            return planned_parts(placement, o, m, a);
        };
        LAP_ASSIGN(Engine opened, make_engine(engine, std::move(loaded), std::chrono::steady_clock::now(), Packing::now, maker));
        subject.engine_ = std::move(opened);
        subject.cancel_ = options.cancel;
        return subject;
    }

    const runtime::ModelFacts& facts() const { return facts_; }

    // What a step multiplies and reads. Of the last layer only keys and values of all tokens are wanted, the rest for the last one.
    Timed cost(int32_t columns, double seconds = 0) const {
        Timed out{seconds, facts_.head_macs - (facts_.layers.back().macs - last_kv_macs_) * (columns - 1),
                  static_cast<double>(facts_.embedding_bytes)};
        for (const runtime::LayerFacts& l : facts_.layers) {
            out.macs += l.macs * columns;
            out.bytes += static_cast<double>(l.weight_bytes);
        }
        return out;
    }

    // One step of so many tokens behind so many others. What was prepared for the one before, serves again where it can.
    Result<Timed> step(int32_t columns, int32_t depth) {
        if (!session_ || depth > 0 || depth_ > 0) {  // a long step leaves the windows behind it: there is no way back
            session_.reset();
            LAP_ASSIGN(Session fresh, engine_->new_session());
            if (depth > 0) LAP_TRY(model::Access::state(fresh).pretend(ids(depth)));
            session_ = std::move(fresh);
        }
        depth_ = depth;
        LAP_TRY(session_->rewind(static_cast<uint32_t>(depth)));
        LAP_ASSIGN(const Prompt prompt, engine_->tokens(ids(columns)));
        LAP_TRY(session_->append(prompt));
        const model::Stopwatch watch;
        LAP_TRY(session_->forward({.cancel = cancel_}, [](int64_t, std::span<const float>) { return Flow::stop; }));
        return cost(columns, watch.seconds());
    }

    // The median of several for about so long.
    Result<Timed> steps(int32_t columns, int32_t depth, double seconds) {
        std::vector<double> times;
        LAP_ASSIGN(Timed out, step(columns, depth));  // much is prepared by the first
        const model::Stopwatch all;
        do {
            LAP_ASSIGN(out, step(columns, depth));
            times.push_back(out.seconds);
        } while (all.seconds() < seconds || times.size() < 3);
        std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
        out.seconds = times[times.size() / 2];
        return out;
    }

  private:
    std::vector<int32_t> ids(int32_t count) const {
        std::vector<int32_t> out;
        for (int32_t i = 0; i < count; ++i) out.push_back((10 + 7 * i) % engine_->info().vocab);
        return out;
    }

    std::optional<Engine> engine_;
    runtime::ModelFacts facts_;
    double last_kv_macs_ = 0;
    std::optional<Session> session_;
    int32_t depth_ = 0;
    std::stop_token cancel_;
};

// Multiply-adds of attention in a step of `columns` behind `depth` tokens, beyond those at depth 0.
double deeper_macs(const runtime::ModelFacts& facts, int32_t columns, int32_t depth) {
    double macs = 0;
    for (const runtime::LayerFacts& l : facts.layers) {
        const auto keys = [&](double at) { return l.ring ? std::min(at, static_cast<double>(facts.window)) : at; };
        const int32_t queries = &l == &facts.layers.back() ? 1 : columns;
        macs += l.key_macs * queries * (keys(depth + columns / 2.0) - keys(columns / 2.0));
    }
    return macs;
}

// The longest step that a device computes within a second or so, at most of kLong tokens: software GPUs take minutes for that.
Result<int32_t> long_step(Subject& subject, double seconds) {
    int32_t columns = 16;
    while (columns < kLong) {
        LAP_ASSIGN(const Timed t, subject.step(columns, 0));
        if (t.seconds * 3 > seconds) break;
        columns *= 2;
    }
    return columns;
}

Result<runtime::Rates> alone(Subject& subject, const CalibrateOptions& options, int32_t& columns) {
    const double seconds = options.seconds;
    const int32_t depth = depth_of(options);
    runtime::Rates rates;
    LAP_ASSIGN(const Timed one, subject.steps(1, 0, seconds));
    rates.read_gbps = one.bytes / one.seconds * 1e-9;
    LAP_ASSIGN(const Timed few, subject.steps(kFew, 0, seconds));
    rates.few_gmacs = few.macs / few.seconds * 1e-9;
    LAP_ASSIGN(columns, long_step(subject, seconds));
    LAP_ASSIGN(const Timed many, subject.steps(columns, 0, seconds));
    // The one row of logits reads the head.
    const double head = std::min(many.seconds / 2, static_cast<double>(subject.facts().embedding_bytes) / rates.read_gbps * 1e-9);
    rates.many_gmacs = (many.macs - subject.facts().head_macs) / (many.seconds - head) * 1e-9;
    LAP_ASSIGN(const Timed deep, subject.steps(columns, depth, seconds));
    const double more = deep.seconds - many.seconds;
    if (more > many.seconds / 20) rates.attention_gmacs = deeper_macs(subject.facts(), columns, depth) / more * 1e-9;
    return rates;
}

// Steps per second of both while both work, over their own alone.
struct Together {
    double cpu = 0, gpu = 0;
};
Result<Together> together(Subject& cpu, Subject& gpu, int32_t cpu_columns, int32_t gpu_columns, double seconds) {
    Subject* const subjects[] = {&cpu, &gpu};
    const int32_t columns[] = {cpu_columns, gpu_columns};
    double steps[2] = {}, times[2] = {};
    std::array<Result<void>, 2> outcomes;
    std::atomic<int> working = 2;
    runtime::ThreadPool both(2);
    if (both.size() < 2) return Error{Errc::out_of_memory, "the system gives no second thread", "close other programs"};
    both.run(2, [&](int64_t i, int) {
        const auto n = static_cast<size_t>(i);
        const model::Stopwatch watch;
        // Counted is what began while the other one worked.
        while ((watch.seconds() < seconds || steps[n] == 0) && (working == 2 || steps[n] == 0)) {
            const auto step = subjects[n]->step(columns[n], 0);
            if (!step) {
                outcomes[n] = step.error();
                break;
            }
            steps[n] += 1;
            times[n] += step->seconds;
        }
        --working;
    });
    for (const auto& outcome : outcomes) LAP_TRY(outcome);
    return Together{steps[0] / times[0], steps[1] / times[1]};
}

// Both devices at once, and the way from one to the other. Their memory goes as soon as it is not needed.
Result<void> measure_joint(const CalibrateOptions& options, const EngineOptions& engine, std::optional<Subject> cpu,
                           std::optional<Subject> gpu, int32_t cpu_long, int32_t gpu_long, runtime::MeasuredRates& rates) {
    LAP_ASSIGN(const Together reading, together(*cpu, *gpu, 1, 1, options.seconds));
    LAP_ASSIGN(const Together multiplying, together(*cpu, *gpu, cpu_long, gpu_long, options.seconds));
    const Timed one = cpu->cost(1), cpu_many = cpu->cost(cpu_long), gpu_many = gpu->cost(gpu_long);
    cpu.reset();
    gpu.reset();
    const auto keep = [&](runtime::Rates& r, double reads, double multiplies, const Timed& many) {
        r.read_gbps_together = std::min(r.read_gbps, one.bytes * reads * 1e-9);
        r.many_gmacs_together = std::min(r.many_gmacs, many.macs * multiplies * 1e-9);
    };
    keep(rates.cpu, reading.cpu, multiplying.cpu, cpu_many);
    keep(*rates.gpu, reading.gpu, multiplying.gpu, gpu_many);
    // Layers on either device, beside what these and the head take alone.
    LAP_ASSIGN(Subject split, Subject::open(options, engine, {runtime::PlacementKind::layers, kLayers / 2, 0}));
    LAP_ASSIGN(const Timed shared, split.steps(1, 0, options.seconds));
    const auto& f = split.facts();
    double alone = static_cast<double>(f.embedding_bytes) / rates.gpu->read_gbps;
    for (int32_t i = 0; i < kLayers; ++i)
        alone += static_cast<double>(f.layers[static_cast<size_t>(i)].weight_bytes) /
                 (i < kLayers - kLayers / 2 ? rates.cpu.read_gbps : rates.gpu->read_gbps);
    rates.handover_s = std::clamp((shared.seconds - alone * 1e-9) / 2, 1e-6, 5e-3);
    // A sliver of every product's rows on the CPU, beside the same on the GPU alone: what remains are the meetings.
    LAP_ASSIGN(Subject sliver, Subject::open(options, engine, {runtime::PlacementKind::rows, kLayers, kAllButASliver}));
    LAP_ASSIGN(const Timed met, sliver.steps(1, 0, options.seconds));
    rates.meeting_s = std::clamp((met.seconds - one.bytes / rates.gpu->read_gbps * 1e-9) / (4 * kLayers), 1e-7, 5e-3);
    return {};
}

// Two engines at most stand there at once, each with all layers and the embedding.
Result<void> check_memory(const CalibrateOptions& options, const EngineOptions& engine, bool with_gpu) {
    LAP_ASSIGN(const auto synthetic, synth_options({.preset = options.preset, .type = options.type, .layers = kLayers}));
    LAP_ASSIGN(const auto shapes, model::synthetic_model(synthetic, model::Filled::no));
    LAP_ASSIGN(const runtime::MachineFacts machine, this_machine(engine));
    const uint64_t wanted = shapes.weights.bytes * (with_gpu ? 3 : 2);  // one of them while it is made
    if (wanted <= machine.usable_bytes) return {};
    return Error{Errc::does_not_fit,
                 concat("measuring needs ", runtime::gibibytes(wanted), " of memory, and ", runtime::gibibytes(machine.usable_bytes), " are free"),
                 "close other programs"};
}

DeviceRates public_rates(const runtime::Rates& r) {
    return {r.read_gbps, r.read_gbps_together, r.few_gmacs, r.many_gmacs, r.many_gmacs_together, r.attention_gmacs};
}

}  // namespace

Result<RatesReport> calibrate(const CalibrateOptions& options) try {
    EngineOptions engine = options.engine;
    engine.context = static_cast<uint32_t>(depth_of(options) + 2 * kLong);
    engine.model.clear();
    engine.progress = {};
    engine.research.prefill_chunk = kLong;
    engine.sessions = 64;  // one after the other
    LAP_ASSIGN(const model::RatesPlace place, model::rates_place(engine));
    if (place.file.empty())
        return Error{Errc::invalid_argument, "there is no folder to keep rates in", "set XDG_CACHE_HOME or HOME"};
    const bool with_gpu = !place.key.gpu.empty();
    const uint64_t total = with_gpu ? 4 : 1;
    const auto tell = [&](uint64_t done) -> Result<void> {
        const bool go = !options.cancel.stop_requested() && (!options.progress || options.progress("measure", done, total));
        return go ? Result<void>() : Error{Errc::cancelled, "measuring was stopped"};
    };
    LAP_TRY(tell(0));
    LAP_TRY(check_memory(options, engine, with_gpu));
    runtime::MeasuredRates rates;
    int32_t cpu_long = kLong, gpu_long = kLong;
    LAP_ASSIGN(Subject cpu, Subject::open(options, engine, {runtime::PlacementKind::cpu, 0, 0}));
    LAP_ASSIGN(rates.cpu, alone(cpu, options, cpu_long));
    LAP_TRY(tell(1));
    if (with_gpu) {
        LAP_ASSIGN(Subject gpu, Subject::open(options, engine, {runtime::PlacementKind::gpu, kLayers, 1}));
        LAP_ASSIGN(rates.gpu, alone(gpu, options, gpu_long));
        LAP_TRY(tell(2));
        LAP_TRY(measure_joint(options, engine, std::move(cpu), std::move(gpu), cpu_long, gpu_long, rates));
    }
    LAP_TRY(tell(total));
    rates.time = utc_now();
    LAP_TRY(runtime::write_rates(place.file, place.key, rates));
    if (with_gpu) {  // for plans that look at no GPU
        runtime::RatesKey alone_key = place.key;
        alone_key.gpu = alone_key.driver = "";
        LAP_TRY(runtime::write_rates(place.file.parent_path() / runtime::rates_file_name(alone_key), alone_key,
                                     {rates.cpu, std::nullopt, 0, 0, rates.time}));
    }
    return RatesReport{place.key.power, place.key.gpu, rates.time, place.file, public_rates(rates.cpu),
                       rates.gpu ? public_rates(*rates.gpu) : DeviceRates(), rates.handover_s, rates.meeting_s};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
