// Throughput of prompt processing (pp) and generation (tg): what is timed is the forward pass alone, on
// fixed pseudo-random ids, without tokenising and sampling. Sessions are made anew for every repetition.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "lapidary/tools.h"
#include "model/load/synth_memory.h"
#include "model/session_state.h"
#include "model/synth_options.h"
#include "runtime/cpu/topology.h"
#include "runtime/memory/budget.h"

namespace lapidary {
namespace {

constexpr int kWarmUpTokens = 16;
constexpr size_t kProbeBytes = size_t{256} << 20;  // several times any cache

// FNV-1a, to tell "faster" from "different".
std::string hash_of(std::span<const float> values) {
    uint64_t h = 14695981039346656037u;
    for (const float v : values) {
        uint32_t bits = 0;
        std::memcpy(&bits, &v, sizeof bits);
        for (int i = 0; i < 4; ++i) h = (h ^ (bits >> (8 * i) & 255)) * 1099511628211u;
    }
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
    return text;
}

std::vector<int32_t> random_ids(int count, int32_t vocab, uint32_t seed) {
    std::vector<int32_t> ids(static_cast<size_t>(count));
    for (int32_t& id : ids) {
        seed = seed * 1664525 + 1013904223;
        id = static_cast<int32_t>((seed >> 8) % static_cast<uint32_t>(vocab));
    }
    return ids;
}

struct Work {  // of one repetition
    double seconds = 0;
    uint64_t bytes = 0;  // weights in source format and cache rows that were read
    double macs = 0;
    double machine_gbps = 0;  // mean of the probes before and after
    std::string hash;
};

class Bench {
  public:
    static Result<Bench> create(const Engine& engine, const BenchOptions& options) {
        Bench out(engine, options);
        LAP_ASSIGN(out.probe_, engine.state().device->allocate(kProbeBytes));
        std::memset(out.probe_->host, 1, kProbeBytes);  // zero pages would all be one page
        return out;
    }

    // What the machine reads per second just now.
    double machine_gbps() const { return engine_.state().device->read_bandwidth(*probe_); }

    // One session: `depth` tokens, then what is timed: a prompt of n tokens, or n single tokens.
    Result<Work> run(int depth, int n, bool generate) {
        LAP_ASSIGN(Session session, engine_.new_session());
        const auto ids = random_ids(depth + n, engine_.info().vocab, 1);
        const auto first = std::span(ids).first(static_cast<size_t>(depth));
        if (depth > 0) LAP_TRY(forward(session, first));
        Work work;
        const Stopwatch watch;
        if (generate) {
            for (int i = 0; i < n; ++i) LAP_TRY(forward(session, std::span(ids).subspan(first.size() + static_cast<size_t>(i), 1)));
        } else {
            LAP_TRY(forward(session, std::span(ids).subspan(first.size())));
        }
        work.seconds = watch.seconds();
        work.hash = hash_of(logits_);
        account(depth, n, generate, work);
        return work;
    }

  private:
    Bench(const Engine& engine, const BenchOptions& options) : engine_(engine), options_(options) {}

    Result<void> forward(Session& session, std::span<const int32_t> ids) {
        LAP_ASSIGN(const Prompt prompt, engine_.tokens(ids));
        LAP_TRY(session.append(prompt));
        return session.forward(
            Rows::last,
            [&](int64_t, std::span<const float> logits) {
                logits_.assign(logits.begin(), logits.end());
                return Flow::go;
            },
            options_.cancel);
    }

    // Multiplications of the matrices and of attention; bytes of weights per step and of visible rows.
    void account(int depth, int n, bool generate, Work& work) const {
        const auto& state = engine_.state();
        const model::ModelConfig& c = state.loaded.config;
        double body = 0;
        for (const auto& l : state.loaded.weights.layers)
            for (const auto* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down})
                if (*t) body += static_cast<double>(t->rows) * static_cast<double>(t->cols);
        const double head = static_cast<double>(c.vocab) * c.hidden;
        work.macs = body * n + head * (generate ? n : 1);
        const int chunk = static_cast<int>(state.options.prefill_chunk);
        const int steps = generate ? n : (n + chunk - 1) / chunk;
        work.bytes = state.weight_bytes_per_token * static_cast<uint64_t>(steps);
        for (int t = 0; t < n; ++t) {
            for (const auto& l : c.layers) {
                const int seen = std::min(depth + t + 1, l.kind == model::LayerKind::sliding ? c.window : 1 << 30);
                work.macs += 2.0 * seen * c.heads * l.head_dim;
                if (generate) work.bytes += static_cast<uint64_t>(seen) * row_bytes(l);
            }
        }
    }
    uint64_t row_bytes(const model::LayerConfig& l) const {
        const int64_t values = int64_t{2} * l.kv_heads * l.head_dim;
        switch (engine_.info().kv) {
            case KvFormat::f32: return static_cast<uint64_t>(values * 4);
            case KvFormat::q8_0: return static_cast<uint64_t>(values / 32 * 34);
            case KvFormat::f16: break;
        }
        return static_cast<uint64_t>(values * 2);
    }

    const Engine& engine_;
    const BenchOptions& options_;
    runtime::Buffer probe_;
    std::vector<float> logits_;  // of the last token; hashed outside the timing
};

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    const size_t n = v.size();
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

BenchRow summarise(const Engine& engine, int depth, int n, bool generate, const std::vector<Work>& works) {
    const ModelInfo& info = engine.info();
    BenchRow row;
    row.test = (generate ? "tg" : "pp") + std::to_string(n);
    row.n_prompt = generate ? 0 : n;
    row.n_gen = generate ? n : 0;
    row.depth = depth;
    row.reps = static_cast<int>(works.size());
    std::vector<double> tps, gbps, gmacs, machine;
    for (const Work& w : works) {
        tps.push_back(n / w.seconds);
        gbps.push_back(static_cast<double>(w.bytes) / w.seconds / 1e9);
        gmacs.push_back(w.macs / w.seconds / 1e9);
        machine.push_back(w.machine_gbps);
    }
    for (const double v : tps) row.tps_mean += v / static_cast<double>(tps.size());
    for (const double v : tps) row.tps_sd += (v - row.tps_mean) * (v - row.tps_mean);
    row.tps_sd = tps.size() > 1 ? std::sqrt(row.tps_sd / static_cast<double>(tps.size() - 1)) : 0;
    row.tps_median = median(tps);
    row.gbps = median(gbps);
    row.gmacs = median(gmacs);
    row.machine_gbps = median(machine);
    row.cpu = runtime::cpu_name();
    row.isa = info.isa;
    row.placement = "cpu";
    row.model = info.name;
    row.type = info.type;
    row.kv = info.kv == KvFormat::f32 ? "f32" : info.kv == KvFormat::f16 ? "f16" : "q8_0";
    row.logits_hash = works.back().hash;
    row.threads = info.threads;
    row.model_bytes = info.weight_bytes;
    row.peak_rss_bytes = runtime::peak_rss_bytes();
    return row;
}

Result<void> check(const BenchOptions& o) {
    const auto bad = [](const char* what, int value) {
        return Error{Errc::invalid_argument, std::string("bench: ") + what + " is " + std::to_string(value),
                     "use numbers above zero (depth may be zero)"};
    };
    if (o.repetitions < 1) return bad("the number of repetitions", o.repetitions);
    for (const int n : o.prompt)
        if (n < 1) return bad("a prompt length", n);
    for (const int n : o.generate)
        if (n < 1) return bad("a generation length", n);
    for (const int n : o.depth)
        if (n < 0) return bad("a depth", n);
    return {};
}

// The context that the longest test needs, unless the caller named one.
EngineOptions with_context(const BenchOptions& o) {
    EngineOptions out = o.engine;
    int longest = kWarmUpTokens, deepest = 0;
    for (const int n : o.prompt) longest = std::max(longest, n);
    for (const int n : o.generate) longest = std::max(longest, n);
    for (const int n : o.depth) deepest = std::max(deepest, n);
    if (out.context == 0) out.context = static_cast<uint32_t>(longest + deepest);
    return out;
}

Result<Engine> open(const BenchOptions& o) {
    const EngineOptions options = with_context(o);
    if (o.synthetic.empty()) return Engine::open(options);
    const auto started = std::chrono::steady_clock::now();
    LAP_ASSIGN(const auto synthetic, synth_options({.preset = o.synthetic, .type = o.type, .layers = o.layers}));
    LAP_ASSIGN(auto loaded, model::synthetic_model(synthetic));
    return make_engine(options, std::move(loaded), started);
}

}  // namespace

Result<void> bench(const BenchOptions& options, const BenchSink& sink) try {
    LAP_TRY(check(options));
    LAP_ASSIGN(const Engine engine, open(options));
    LAP_ASSIGN(Bench bench, Bench::create(engine, options));
    LAP_TRY(bench.run(0, std::min(16, static_cast<int>(engine.info().context)),
                      false));  // warm-up: pages, caches, clocks
    for (const int depth : options.depth) {
        for (const bool generate : {false, true}) {
            for (const int n : generate ? options.generate : options.prompt) {
                std::vector<Work> works;
                for (int r = 0; r < options.repetitions; ++r) {
                    const double before = bench.machine_gbps();
                    LAP_ASSIGN(Work work, bench.run(depth, n, generate));
                    work.machine_gbps = (before + bench.machine_gbps()) / 2;
                    works.push_back(std::move(work));
                }
                if (sink(summarise(engine, depth, n, generate, works)) != Flow::go) return {};
            }
        }
    }
    return {};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
