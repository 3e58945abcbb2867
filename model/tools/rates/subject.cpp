// Steps on made-up pasts; see subject.h.
#include "model/tools/rates/subject.h"

#include <algorithm>

#include "base/try.h"
#include "model/plan_facts.h"
#include "model/session_state.h"
#include "model/synth/memory.h"

namespace lapidary::model {

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
        state.engine->info.kv = step.kv;  // that caches are made in
        LAP_TRY(state.make_caches());
        if (step.depth > 0) LAP_TRY(state.pretend(ids(step.depth)));
        found = pasts_.emplace(key, std::move(fresh)).first;
    }
    LAP_TRY(found->second.rewind(static_cast<uint32_t>(step.depth)));
    return &found->second;
}

Result<double> Subject::seconds(const Step& step) {
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

}  // namespace lapidary::model
