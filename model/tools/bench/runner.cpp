// Pieces and probes; see runner.h.
#include "model/tools/bench/runner.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/try.h"
#include "runtime/cpu/topology.h"

namespace lapidary::model {
namespace {

// A piece of generation: at least so many tokens and so long, so that probes stay a small part of the run and
// yet follow a machine whose speed swings within seconds.
constexpr int kPieceTokens = 4;
constexpr double kPieceSeconds = 0.4;
constexpr double kBandwidthSeconds = 0.05, kPeakSeconds = 0.02;

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

std::vector<int32_t> random_ids(int64_t count, int32_t vocab) {
    std::vector<int32_t> ids(static_cast<size_t>(count));
    uint32_t seed = 1;
    for (int32_t& id : ids) {
        seed = seed * 1664525 + 1013904223;
        id = static_cast<int32_t>((seed >> 8) % static_cast<uint32_t>(vocab));
    }
    return ids;
}

// Four times the largest cache, so that the probe reads memory; at least 64 MiB, and 256 where the cache is unknown.
size_t probe_size() {
    const size_t cache = runtime::largest_cache_bytes("/sys");
    return cache == 0 ? size_t{256} << 20 : std::max(size_t{64} << 20, 4 * cache);
}

}  // namespace

double Repetition::seconds() const {
    double sum = 0;
    for (const Piece& p : pieces) sum += p.seconds;
    return sum;
}

Result<BenchRunner> BenchRunner::create(const Engine& engine, bool made_up, std::stop_token cancel) {
    BenchRunner out(engine, made_up, std::move(cancel));
    LAP_ASSIGN(out.buffer_, model::Access::state(engine).device().allocate(probe_size(), runtime::MemoryKind::weights));
    LAP_TRY(model::Access::state(engine).device().fill(out.buffer_, 0x01010101));  // zero pages would all be one page
    return out;
}

Probe BenchRunner::probe(Repetition& out) const {
    runtime::MachineProbe& machine = model::Access::state(engine_).device().probe();
    const Probe now{machine.read_bandwidth(buffer_, kBandwidthSeconds), machine.int8_peak(kPeakSeconds)};
    out.probes.push_back(now);
    return now;
}

Result<void> BenchRunner::forward(Session& session, std::span<const int32_t> ids, Rows rows,
                                  const ProgressSink& progress) {
    LAP_ASSIGN(const Prompt prompt, engine_.tokens(ids));
    LAP_TRY(session.append(prompt));
    LAP_TRY(session.forward({.rows = rows, .cancel = cancel_, .progress = progress}, [&](int64_t, std::span<const float> logits) {
        logits_.assign(logits.begin(), logits.end());
        return Flow::go;
    }));
    if (!model::Access::state(engine_).lost_before) return {};
    return Error{Errc::device_lost, "the GPU was lost: figures of two devices would be mixed", "start the bench again"};
}

Result<double> BenchRunner::step(Session& session, std::span<const int32_t> ids, Rows rows, Piece& piece) {
    const auto position = static_cast<int32_t>(session.position());
    const auto columns = static_cast<int32_t>(ids.size());
    const Stopwatch watch;
    LAP_TRY(forward(session, ids, rows));
    const double seconds = watch.seconds();
    piece.seconds += seconds;
    const auto chunk = static_cast<int32_t>(model::Access::state(engine_).options.research.prefill_chunk);
    for (int32_t begin = 0; begin < columns; begin += chunk) {
        const int32_t n = std::min(chunk, columns - begin);
        const int32_t wanted = rows == Rows::all ? n : begin + n == columns ? 1 : 0;
        piece.cost += step_cost(model::Access::state(session), position + begin, n, wanted);
    }
    return seconds;
}

// One piece between two probes; the probe behind one piece is the probe before the next.
template <class Work>
Result<void> BenchRunner::piece(Repetition& out, const Work& work) {
    const Probe before = out.probes.empty() ? probe(out) : out.probes.back();
    Piece piece;
    if (auto* recorders = model::Access::state(engine_).recorders.get()) recorders->enable(true);
    const Result<void> done = work(piece);
    if (auto* recorders = model::Access::state(engine_).recorders.get()) recorders->enable(false);
    LAP_TRY(done);
    const Probe after = probe(out);
    piece.machine = {(before.gbps + after.gbps) / 2, (before.gmacs + after.gmacs) / 2};
    out.pieces.push_back(piece);
    return {};
}

Result<void> BenchRunner::run_prompt(Session& session, std::span<const int32_t> ids, Repetition& out) {
    return piece(out, [&](Piece& p) -> Result<void> {
        LAP_TRY(step(session, ids, Rows::last, p));
        return {};
    });
}

Result<void> BenchRunner::run_tokens(Session& session, std::span<const int32_t> ids, const WorkSink& done,
                                     Repetition& out) {
    for (size_t i = 0; i < ids.size();) {
        const size_t begin = i;
        LAP_TRY(piece(out, [&](Piece& p) -> Result<void> {
            for (int n = 0; i < ids.size() && (n < kPieceTokens || p.seconds < kPieceSeconds); ++n, ++i) {
                LAP_ASSIGN(const double seconds, step(session, ids.subspan(i, 1), Rows::last, p));
                out.token_seconds.push_back(seconds);
            }
            return {};
        }));
        if (done && !done(static_cast<int64_t>(i - begin) * kGeneratedWork))
            return Error{Errc::cancelled, "the bench was stopped"};
    }
    return {};
}

// Steps of one token and of n take turns, so that both meet the same machine; the piece is that of n.
Result<void> BenchRunner::run_columns(Session& session, std::span<const int32_t> ids, int n, Repetition& out) {
    const auto columns = static_cast<size_t>(n);
    return piece(out, [&](Piece& p) -> Result<void> {
        Piece singles;
        for (size_t i = 0; i < ids.size(); i += columns + 1) {
            LAP_TRY(step(session, ids.subspan(i, 1), Rows::all, singles));
            LAP_TRY(step(session, ids.subspan(i + 1, columns), Rows::all, p));
        }
        out.single_seconds = singles.seconds / kColumnSteps;
        out.step_seconds = p.seconds / kColumnSteps;
        out.step_macs = p.cost.macs / kColumnSteps;
        return {};
    });
}

// The past that a test begins behind; not timed.
Result<void> BenchRunner::fill(Session& session, std::span<const int32_t> ids, const WorkSink& done) {
    if (ids.empty()) return {};
    uint64_t told = 0;
    return forward(session, ids, Rows::last, [&](std::string_view, uint64_t computed, uint64_t) {
        const auto more = static_cast<int64_t>(computed - told);
        told = computed;
        return !done || done(more);
    });
}

Result<void> BenchRunner::prepare(int depth, const WorkSink& done) {
    if (past_ && past_->position() == static_cast<uint32_t>(depth)) return {};
    past_.reset();  // its memory may be needed
    LAP_ASSIGN(Session session, engine_.new_session());
    model::Access::state(session).stays = true;
    const auto ids = random_ids(depth, engine_.info().vocab);
    if (auto* recorders = model::Access::state(engine_).recorders.get()) recorders->enable(false);
    if (made_up_ && depth > 0)
        LAP_TRY(model::Access::state(session).pretend(ids));
    else
        LAP_TRY(fill(session, ids, done));
    past_ = std::move(session);
    return {};
}

Result<Repetition> BenchRunner::run(const BenchCase& what, const WorkSink& done) {
    LAP_ASSIGN(Session session, past_->fork());
    const auto ids = random_ids(what.depth + what.length(), engine_.info().vocab);
    const auto timed = std::span(ids).subspan(static_cast<size_t>(what.depth));
    if (auto* recorders = model::Access::state(engine_).recorders.get()) recorders->enable(false);
    Repetition out;
    switch (what.kind) {
        case BenchCase::Kind::prompt: LAP_TRY(run_prompt(session, timed, out)); break;
        case BenchCase::Kind::generate: LAP_TRY(run_tokens(session, timed, done, out)); break;
        case BenchCase::Kind::columns: LAP_TRY(run_columns(session, timed, what.n, out)); break;
    }
    out.hash = hash_of(logits_);
    return out;
}

}  // namespace lapidary::model
