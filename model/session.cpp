// A sequence in time: what is queued, what is computed, and how to go back. Sampling is in generate.cpp.
#include "model/session_state.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "base/try.h"

namespace lapidary {

Session::Session(std::unique_ptr<model::SessionState> state) : state_(std::move(state)) {}
Session model::Access::session(std::unique_ptr<SessionState> state) { return Session(std::move(state)); }
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Engine::new_session() const try {
    if (state_->options.prompts_only)
        return Error{Errc::invalid_argument, "the model was opened for prompts only, without its weights",
                     "open an engine without prompts_only for that"};
    LAP_TRY(check_room(*state_));
    auto state = std::make_unique<model::SessionState>(state_);
    const Result<void> made = state->make_caches();
    // A lost device is replaced by who computes.
    if (!made && made.error().code != Errc::device_lost) return made.error();
    return model::Access::session(std::move(state));
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

uint32_t Session::position() const { return static_cast<uint32_t>(state_->ids.size()); }

Result<Session> Session::fork() const try {
    const model::SessionState& s = *state_;
    if (model::Turn::held_here(s.engine->turns))
        return Error{Errc::invalid_argument,
                     "a sink of forward or a progress sink forks a session of the engine that computes",
                     "fork when it has returned; only the sink of generate's tokens may"};
    const model::Turn turn(s.engine->turns, {});  // its devices copy
    auto fork = std::make_unique<model::SessionState>(s.engine);
    fork->ids = s.ids;
    fork->soft = s.soft;
    fork->pending = s.pending;
    fork->computed = s.computed;
    fork->stored = s.stored;
    fork->delivered = s.delivered;
    fork->turn_begins = s.turn_begins;
    fork->reply = s.reply;
    if (s.caches.empty() || s.generation != s.engine->generation) return model::Access::session(std::move(fork));  // both compute it again
    fork->generation = s.generation;
    fork->checkpoint = s.checkpoint;
    for (const model::KvCache& cache : s.caches) {
        Result<model::KvCache> copy = cache.fork(s.computed);
        if (!copy && copy.error().code != Errc::device_lost) return copy.error();
        if (!copy) {
            fork->forget_caches();
            break;
        }
        fork->caches.push_back(std::move(*copy));
    }
    return model::Access::session(std::move(fork));
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<void> Session::rewind(uint32_t position) {
    LAP_TRY(state_->check_idle("rewinds"));
    if (position > state_->ids.size())
        return Error{Errc::invalid_argument,
                     "cannot rewind to " + std::to_string(position) + ": the sequence has " +
                         std::to_string(state_->ids.size()) + " tokens",
                     "give a position from 0 to " + std::to_string(state_->ids.size())};
    return state_->rewind(static_cast<int32_t>(position));
}

Result<void> Session::forward(const ForwardOptions& options, const LogitsSink& sink) try {
    LAP_TRY(state_->check_idle("computes with"));
    const model::Replying busy(*state_);  // its sinks must not change what is being computed
    bool discard = false;
    const int32_t begin = state_->delivered;
    const auto row_sink = [&](int32_t row, const model::Scores& scores) -> Result<bool> {
        Flow flow = Flow::stop;
        if (sink) {
            LAP_ASSIGN(const auto all, scores.all());
            flow = sink(row, all);
        }
        discard = flow == Flow::discard;
        return flow == Flow::go;
    };
    model::Effort effort;
    LAP_TRY(state_->compute(options, {}, row_sink, effort));
    if (discard) return state_->rewind(begin);
    return {};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

model::SessionState::SessionState(std::shared_ptr<EngineState> of) : engine(std::move(of)), used(std::chrono::steady_clock::now()) {
    const std::lock_guard lock(engine->caches_lock);
    engine->sessions.insert(this);
}

model::SessionState::~SessionState() {
    const std::lock_guard lock(engine->caches_lock);
    engine->sessions.erase(this);
}

Result<void> model::SessionState::check_idle(const char* what) const {
    if (!replying) return {};
    return Error{Errc::invalid_argument, std::string("a sink of the session's own call ") + what + " it", "do so when that call has returned"};
}

void model::SessionState::roll_back(int32_t target) {
    target = std::min(target, computed);
    for (const model::SoftRows& s : soft)  // a picture is computed whole or not at all
        if (s.block && s.position < target && target < s.position + s.count) target = s.position;
    // What was overwritten depends on the furthest write, not on `computed`: going back several times by a
    // little must not leave the ring's slack unnoticed.
    const std::lock_guard lock(engine->caches_lock);
    const bool kept = std::all_of(caches.begin(), caches.end(),
                                  [&](const model::KvCache& kv) { return kv.can_rewind(stored, target); });
    if (kept || back_to_checkpoint(target)) {
        computed = target;
    } else {
        computed = 0;
    }
    checkpoint.same = std::min(checkpoint.same, computed);
    if (computed > 0) return;
    stored = 0;
    checkpoint = {};
}

void model::SessionState::forget_caches() {
    const std::lock_guard lock(engine->caches_lock);
    caches.clear();
    checkpoint = {};
    computed = stored = 0;
    generation = 0;
}

Result<void> model::SessionState::make_caches() {
    EngineState& e = *engine;
    const std::lock_guard lock(e.parts_lock);  // new sessions need no turn
    forget_caches();
    std::vector<KvCache> made;
    for (const DevicePart& part : e.parts) {
        const auto kind = part.few ? runtime::MemoryKind::shared : runtime::MemoryKind::state;
        LAP_ASSIGN(auto cache, KvCache::create(*part.device, e.loaded.config, part.first, part.last, e.kv_format(), context(), kind));
        made.push_back(std::move(cache));
    }
    const std::lock_guard touch(e.caches_lock);
    caches = std::move(made);
    generation = e.generation;
    return {};
}

Result<void> model::SessionState::renew_caches() {
    LAP_TRY(engine->ready());
    return !caches.empty() && generation == engine->generation ? Result<void>() : make_caches();
}

Result<void> model::SessionState::rewind(int32_t position) {
    for (const model::SoftRows& s : soft)
        if (s.position < position && position < s.position + s.count)
            return Error{Errc::invalid_argument,
                         "position " + std::to_string(position) + " lies inside a picture or recording (" +
                             std::to_string(s.position) + " to " + std::to_string(s.position + s.count - 1) + ")",
                         "rewind to its first position or behind it"};
    roll_back(position);
    if (position < reply) reply = -1;  // it is gone
    delivered = std::min(delivered, position);
    ids.resize(static_cast<size_t>(position));
    while (!soft.empty() && soft.back().position >= position) {
        std::erase_if(pending, [&](const Pending& p) { return p.index + 1 == soft.size(); });
        soft.pop_back();
    }
    return {};
}

namespace {

// Ascending, each once.
Result<std::vector<int32_t>> observed_layers(const ForwardOptions& options, int32_t layers) {
    std::vector<int32_t> out = options.hidden_layers;
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    if (!out.empty() && !options.hidden)
        return Error{Errc::invalid_argument, "residuals behind layers are asked for, but nobody takes them",
                     "give forward a HiddenSink"};
    for (const int32_t layer : out)
        if (layer < 0 || layer >= layers)
            return Error{Errc::invalid_argument,
                         "residuals behind layer " + std::to_string(layer) + " are asked for, the model has " +
                             std::to_string(layers) + " layers",
                         "name layers from 0 to " + std::to_string(layers - 1)};
    return out;
}

// Residuals of positions from `position` on, each once: those that are computed again after a loss are not told again.
HiddenSink each_once(const HiddenSink& sink, int32_t position) {
    if (!sink) return {};
    return [&sink, position, told = std::map<int32_t, int32_t>()](const HiddenRows& rows) mutable {
        int32_t& next = told.try_emplace(rows.layer, position).first->second;
        const auto begin = static_cast<int32_t>(rows.position), end = begin + rows.count;
        const int32_t from = std::max(begin, next);
        if (from >= end) return;
        next = end;
        sink({rows.layer, static_cast<uint32_t>(from), end - from, rows.width,
              rows.values.subspan(static_cast<size_t>(from - begin) * static_cast<size_t>(rows.width))});
    };
}

}  // namespace

Result<void> model::SessionState::pretend(std::vector<int32_t> made_up) {
    ids = std::move(made_up);
    const std::lock_guard lock(engine->caches_lock);
    for (KvCache& cache : caches) LAP_TRY(cache.make_up(size()));
    computed = stored = delivered = size();
    return {};
}

uint64_t model::SessionState::read_bytes(int32_t position) const {
    const std::lock_guard lock(engine->caches_lock);
    uint64_t total = 0;
    for (const model::KvCache& kv : caches) total += kv.read_bytes(position);
    return total;
}

Result<void> model::SessionState::compute_media() {
    if (pending.empty()) return {};
    LAP_TRY(engine->place_media());
    model::DevicePart& part = engine->parts.front();
    const model::Network net{engine->loaded.config, part.weights};
    for (const Pending& p : pending) {
        MediaMemory::Embedded embedded = engine->media.embedded(p.rows->content);
        if (!embedded) {
            auto rows = p.rows->picture ? model::embed_patches(net, *part.device, part.workspace, p.rows->patches)
                                        : model::embed_frames(net, *part.device, part.workspace, p.rows->frames);
            if (!rows) return rows.error();
            embedded = std::make_shared<const std::vector<float>>(std::move(*rows));
            engine->media.keep(p.rows->content, embedded);
        }
        soft[p.index].rows = *embedded;
    }
    pending.clear();
    return {};
}

model::DevicePart& model::SessionState::part_of(size_t i, int32_t columns) const {
    DevicePart& whole = engine->parts[i];
    return whole.few && columns <= kFewColumns ? *whole.few : whole;
}

Result<void> model::SessionState::make_room(int32_t begin, int32_t end, int32_t columns) {
    used = std::chrono::steady_clock::now();
    uint64_t grows = 0;
    for (size_t i = 0; i < caches.size(); ++i) {
        if (!engine->in_host_memory(engine->parts[i])) continue;
        const uint64_t more = part_of(i, columns).workspace.growth(engine->loaded.config, columns) + caches[i].growth(begin, end);
        grows += more + (more > 0 && stored == 0 ? caches[i].bytes() : 0);  // a new session has not touched its ring yet
    }
    return engine->make_room(columns, grows);
}

Result<model::Stage> model::SessionState::stage_of(size_t i, int32_t begin, int32_t end) {
    const ModelConfig& config = engine->loaded.config;
    const int32_t columns = end - begin;
    DevicePart& part = part_of(i, columns);
    LAP_TRY(part.workspace.reserve(*part.device, config, columns));
    LAP_TRY(caches[i].reserve(begin, end));
    LAP_TRY(caches[i].reserve_scratch(part.workspace.kv, columns));
    return Stage{*part.device, {config, part.weights}, caches[i], part.workspace, part.first, part.last, part.recorder};
}

Result<void> model::SessionState::compute_step(int32_t end, Step step, const RowSink& sink, const HiddenSink& hidden,
                                               const runtime::StepWatch& go_on) {
    model::EngineState& e = *engine;
    const int32_t begin = computed, columns = end - begin;
    LAP_TRY(make_room(begin, end, columns));
    std::vector<Stage> stages;
    for (size_t i = 0; i < caches.size(); ++i) {
        LAP_ASSIGN(const Stage stage, stage_of(i, begin, end));
        stages.push_back(stage);
    }
    step.position = begin;
    step.ids = std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(columns));
    step.soft = soft;
    step.blocks_everywhere = e.options.research.vision_blocks_everywhere;
    const auto residuals = [&](int32_t layer, std::span<const float> rows) {
        hidden({layer, static_cast<uint32_t>(begin), columns, e.loaded.config.hidden, rows});
    };
    const auto begin_layer = [&](int32_t layer) {
        if (!go_on(layer)) return false;
        stored = std::max(stored, end);  // a step stopped in front of its first layer has lost nothing
        return true;
    };
    Result<void> done;
    try {
        done = model::forward(stages, step, begin_layer, residuals, sink);
    } catch (const std::bad_alloc&) {  // caught here, because the step must be taken back
        done = memory_ran_out();
    } catch (...) {  // of a caller's sink
        roll_back(begin);
        throw;
    }
    if (!done) {  // a step stopped midway has written rows of some layers
        roll_back(begin);
        return done;
    }
    computed = end;
    delivered = std::max(delivered, end);
    return {};
}

Result<void> model::SessionState::compute(const ForwardOptions& options, const Wanted& of_row, const RowSink& sink,
                                          Effort& effort) {
    if (ids.empty())
        return Error{Errc::invalid_argument, "there is nothing to compute: the sequence is empty",
                     "append a prompt of at least one token"};
    LAP_ASSIGN(const auto observed, observed_layers(options, engine->info.layers));
    if (computed == size()) roll_back(size() - 1);  // the logits of the last token are wanted again
    EngineState& e = *engine;
    const auto chunk = static_cast<int32_t>(std::min<uint32_t>(e.options.research.prefill_chunk, e.info.context));
    const int32_t first_row = std::min(delivered, size() - 1);
    int32_t start = computed;  // less, once a lost device took the past with it
    const auto report = [&](int32_t done) {  // columns of a step count layer by layer
        return !options.cancel.stop_requested() &&
               (!options.progress || options.progress("prompt", static_cast<uint64_t>(done - start),
                                                      static_cast<uint64_t>(size() - start)));
    };
    const HiddenSink hidden = each_once(options.hidden, start);
    int32_t row = 0;  // of those handed out, which are not handed out again
    bool go = true, prompt = size() - computed > 1;
    const auto counted = [&](int32_t, const Scores& scores) -> Result<bool> {
        const Stopwatch watch;
        LAP_ASSIGN(go, sink(row, scores));
        ++row;
        effort.sink_s += watch.seconds();
        return go;
    };
    const auto report_layer = [&](int32_t begin, int32_t end, int32_t layer, int32_t layers) {
        return report(begin + static_cast<int32_t>((end - begin) * int64_t{layer} / layers));
    };
    const auto one_step = [&]() -> Result<void> {
        if (std::exchange(prompt, false)) LAP_TRY(e.follow_power());
        LAP_TRY(renew_caches());
        LAP_TRY(compute_media());
        const int32_t begin = computed, end = chunk_end(begin, size(), chunk, soft);
        start = std::min(start, begin);
        LAP_TRY(keep_checkpoint(end));
        // Who wants rows of every step takes them from the last part, which would wait for him.
        if (caches.size() > 1 && end < size() && options.rows == Rows::last && observed.empty()) {
            const int32_t layers = e.parts.front().last;
            const auto go_on = [&](int32_t from, int32_t to, int32_t layer) { return report_layer(from, to, layer, layers); };
            LAP_TRY(compute_chunks(chunk, of_row, counted, go_on, options.cancel));
            effort.tokens = computed - start;
            return {};
        }
        int32_t wanted = end == size() ? 1 : 0;
        if (options.rows == Rows::all) wanted = std::max(0, end - std::max(begin, first_row + row));
        if (!go) wanted = 0;
        const Step step{.rows_wanted = wanted, .candidates = of_row.candidates, .mask = of_row.mask, .observed = observed};
        LAP_TRY(compute_step(end, step, counted, hidden, [&](int32_t layer) { return report_layer(begin, end, layer, e.info.layers); }));
        effort.tokens = end - start;
        return {};
    };
    while (computed < size()) {
        if (Turn::held_here(e.turns))
            return Error{Errc::invalid_argument, "a sink of forward or a progress sink computes with another session",
                         "compute when it has returned; only the sink of generate's tokens may"};
        const Stopwatch waiting;
        const Turn turn(e.turns, options.cancel);
        effort.wait_s += waiting.seconds();
        if (!turn) return Error{Errc::cancelled, "stopped on request"};
        const Result<void> done = one_step();
        if (done) continue;
        if (done.error().code != Errc::device_lost) return done;
        forget_caches();
        LAP_TRY(e.recover(done.error()));
    }
    if (options.progress && !report(size())) return Error{Errc::cancelled, "stopped on request"};
    return {};
}

}  // namespace lapidary
