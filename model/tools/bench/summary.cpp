// Medians over repetitions, tokens and pieces; see summary.h.
#include "model/tools/bench/summary.h"

#include <algorithm>
#include <cmath>

#include "model/access.h"
#include "model/tools/bench/statistics.h"
#include "model/engine_state.h"
#include "runtime/cpu/topology.h"
#include "runtime/memory/budget.h"

namespace lapidary::model {
namespace {

using Kind = BenchCase::Kind;

// Of one repetition: the time that counts, and the tokens computed in it.
double timed_seconds(const BenchCase& what, const Repetition& r) {
    return what.kind == Kind::columns ? r.step_seconds : r.seconds();
}

// Each piece against the probes around it.
void add_shares(const std::vector<Repetition>& repetitions, BenchRow& row) {
    std::vector<double> bandwidth, peak, machine_gbps, machine_gmacs;
    for (const Repetition& r : repetitions) {
        for (const Piece& p : r.pieces) {
            machine_gbps.push_back(p.machine.gbps);
            machine_gmacs.push_back(p.machine.gmacs);
            bandwidth.push_back(p.bandwidth_share());
            peak.push_back(p.peak_share());
        }
    }
    row.machine_gbps = median(machine_gbps);
    row.machine_gmacs = median(machine_gmacs);
    row.pct_bandwidth = 100 * median(bandwidth);
    row.pct_int8_peak = 100 * median(peak);
}

void add_columns(const std::vector<Repetition>& repetitions, BenchRow& row) {
    constexpr double kArithmeticShare = 0.75;  // of the int8 peak: what a step may cost where it binds
    std::vector<double> seconds, ratios, allowed;
    for (const Repetition& r : repetitions) {
        seconds.push_back(r.step_seconds);
        ratios.push_back(r.step_seconds / r.single_seconds);
        const double peak = r.pieces.front().machine.gmacs * 1e9;
        allowed.push_back(peak > 0 ? std::max(1.0, r.step_macs / (kArithmeticShare * peak * r.single_seconds)) : 0);
    }
    row.step_ms = 1e3 * median(seconds);
    row.cost_ratio = median(ratios);
    row.cost_allowed = median(allowed);
}

const char* kv_name(KvFormat kv) { return kv == KvFormat::f32 ? "f32" : kv == KvFormat::f16 ? "f16" : "q8_0"; }

}  // namespace

BenchRow summarise(const BenchCase& what, const std::vector<Repetition>& repetitions) {
    BenchRow row;
    row.test = what.name();
    row.n_prompt = what.kind == Kind::prompt ? what.n : 0;
    row.n_gen = what.kind == Kind::generate ? what.n : 0;
    row.columns = what.kind == Kind::columns ? what.n : 0;
    row.depth = what.depth;
    row.reps = static_cast<int>(repetitions.size());
    std::vector<double> tps, gbps, gmacs, ns, tokens;
    for (const Repetition& r : repetitions) {
        StepCost cost;
        for (const Piece& p : r.pieces) cost += p.cost;
        const double seconds = timed_seconds(what, r);
        tps.push_back(what.n / seconds);
        gbps.push_back(static_cast<double>(cost.bytes) / r.seconds() / 1e9);
        gmacs.push_back(cost.macs / r.seconds() / 1e9);
        ns.push_back(1e9 * seconds);
        row.ns.push_back(static_cast<uint64_t>(std::llround(1e9 * seconds)));
        for (const double s : r.token_seconds) tokens.push_back(1e9 * s);
    }
    row.tps_median = median(tps);
    row.tps_mean = mean(tps);
    row.tps_sd = standard_deviation(tps);
    row.gbps = median(gbps);
    row.gmacs = median(gmacs);
    row.token_p50_ns = percentile(tokens, 0.5);
    row.token_p95_ns = percentile(tokens, 0.95);
    if (what.kind == Kind::prompt) row.ttft_ns = median(ns);
    if (what.kind == Kind::columns) add_columns(repetitions, row);
    add_shares(repetitions, row);
    row.logits_hash = repetitions.back().hash;
    return row;
}

void describe_engine(const Engine& engine, BenchRow& row) {
    const ModelInfo& info = engine.info();
    row.cpu = runtime::cpu_name();
    row.isa = info.isa;
    runtime::MachineProbe& probe = Access::state(engine).device().probe();
    row.peak_instruction = probe.peak_instruction();
    constexpr double kMatrixSeconds = 0.05;
    const runtime::MatrixPeak matrices = probe.matrix_peak(kMatrixSeconds);
    row.machine_matrix_gmacs = matrices.gmacs;
    row.matrix_instruction = matrices.instruction;
    row.gpu = info.gpu;
    row.untimed = info.untimed;
    const std::string kind = engine.plan().placement.kind;
    row.placement = kind == "layers" || kind == "rows" ? "split" : kind == "phases" ? kind : info.gpu.empty() ? "cpu" : "gpu";
    row.split = row.placement == "split" ? engine.plan().placement.text : "";
    row.model = info.name;
    row.type = info.type;
    row.kv = kv_name(info.kv);
    row.version = version();
#ifdef __clang__
    row.compiler = "clang " __clang_version__;
#else
    row.compiler = "gcc " __VERSION__;
#endif
    row.threads = info.threads;
    row.prefill_threads = info.prefill_threads;
    row.decode_threads = info.decode_threads;
    row.model_bytes = info.weight_bytes;
    row.peak_rss_bytes = runtime::peak_rss_bytes();
}

}  // namespace lapidary::model
