// What comes next in a sequence: prompts appended, and turns, whose prompts repeat what the sequence holds already.
#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/session_state.h"

namespace lapidary {

namespace {

// Prompts carry ids and rows of one model; another model's would be read past the end of its tables.
Result<void> check_model(const model::ModelConfig& config, const model::PromptData& data) {
    bool fits = std::all_of(data.ids.begin(), data.ids.end(), [&](int32_t id) { return id < config.vocab; });
    for (const auto& m : data.media) {
        const auto& values = m.rows->picture ? m.rows->patches.values : m.rows->frames;
        int64_t width = -1;  // of a row; the model may take no such input
        if (m.rows->picture && config.vision) width = config.vision->patch_values();
        if (!m.rows->picture && config.audio) width = config.audio->samples_per_token;
        fits = fits && static_cast<int64_t>(values.size()) == m.count * width;
    }
    if (fits) return {};
    return Error{Errc::invalid_argument, "the prompt was made by the engine of another model",
                 "render it with the engine of this session"};
}

// How many tokens the sequence and the prompt begin with alike, no picture or recording cut.
size_t common_tokens(const model::SessionState& session, const model::PromptData& data) {
    const auto differs = std::mismatch(session.ids.begin(), session.ids.end(), data.ids.begin(), data.ids.end()).first;
    auto common = static_cast<int32_t>(differs - session.ids.begin());
    auto mine = session.soft.begin();
    auto other = data.media.begin();
    while (true) {
        const bool a = mine != session.soft.end() && mine->position < common;
        const bool b = other != data.media.end() && other->first < common;
        if (!a && !b) return static_cast<size_t>(common);
        const bool same = a && b && mine->end() <= common && mine->position == other->first && mine->count == other->count &&
                          mine->block == other->rows->picture && mine->content == other->rows->content;
        if (!same) return static_cast<size_t>(std::min(a ? mine->position : common, b ? other->first : common));
        ++mine;
        ++other;
    }
}

Result<void> check_prompt(const model::SessionState& session, const model::PromptData& data) {
    std::unique_lock media(session.engine->media_lock, std::defer_lock);
    if (!data.media.empty()) media.lock();  // a projector may be joining the model; text never waits for that
    return check_model(session.engine->loaded.config, data);
}

Result<void> check_length(const model::SessionState& session, size_t before, size_t more) {
    const size_t total = before + more;
    if (total <= static_cast<size_t>(session.context())) return {};
    return Error{Errc::context_full,
                 concat("the prompt has ", more, " tokens, ", static_cast<size_t>(session.context()) - before, " of the context of ",
                        session.context(), " are free"),
                 total <= session.engine->info.model_context
                     ? concat("set EngineOptions::context to ", total, " or more")
                     : concat("shorten the prompt; the model itself ends at ", session.engine->info.model_context)};
}

}  // namespace

Result<void> Session::append(const Prompt& prompt) try {
    LAP_TRY(state_->check_idle("appends to"));
    const model::PromptData& data = model::Access::data(prompt);
    LAP_TRY(check_prompt(*state_, data));
    LAP_TRY(check_length(*state_, state_->ids.size(), data.ids.size()));
    state_->append(data, 0);
    return {};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<uint32_t> Session::replace(const Prompt& prompt) try {
    LAP_TRY(state_->check_idle("replaces"));
    const model::PromptData& data = model::Access::data(prompt);
    LAP_TRY(check_prompt(*state_, data));
    LAP_TRY(check_length(*state_, 0, data.ids.size()));
    const size_t common = common_tokens(*state_, data);
    LAP_TRY(state_->rewind(static_cast<int32_t>(common)));
    state_->turn_begins = true;
    state_->append(data, common);
    return static_cast<uint32_t>(common);
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

void model::SessionState::append(const PromptData& data, size_t from) {
    const int32_t base = size() - static_cast<int32_t>(from);
    // Memory runs out here or not at all: half a prompt must not stay.
    ids.reserve(ids.size() + data.ids.size() - from);
    soft.reserve(soft.size() + data.media.size());
    pending.reserve(pending.size() + data.media.size());
    for (const auto& m : data.media) {
        if (static_cast<size_t>(m.first) < from) continue;
        SoftRows rows;
        rows.position = base + m.first;
        rows.count = m.count;
        rows.block = m.rows->picture;
        rows.content = m.rows->content;
        pending.push_back({soft.size(), m.rows});
        soft.push_back(std::move(rows));
    }
    ids.insert(ids.end(), data.ids.begin() + static_cast<std::ptrdiff_t>(from), data.ids.end());
}

// ---- checkpoints ----------------------------------------------------------------------------------

namespace {

// The next turn's prompt parts from the sequence at most so many tokens in front of a reply: a rendering without the empty
// thought that ended the last one. So many of the reply may follow until its ring no longer reaches back that far.
constexpr int32_t kPartsBefore = 8;
static_assert(2 * kPartsBefore <= model::kRingSlack);

}  // namespace

void model::SessionState::begin_reply() {
    if (std::exchange(turn_begins, false)) reply = size();
}

bool model::SessionState::back_to_checkpoint(int32_t target) {
    if (!checkpoint.taken() || target > checkpoint.same) return false;
    const int32_t was_stored = checkpoint.rings.front().stored;
    if (!std::all_of(caches.begin(), caches.end(), [&](const KvCache& kv) { return kv.can_rewind(was_stored, target); })) return false;
    stored = was_stored;
    checkpoint.pending = true;
    return true;
}

Result<void> model::SessionState::keep_checkpoint(int32_t end) {
    if (checkpoint.pending) {
        for (size_t i = 0; i < caches.size(); ++i) LAP_TRY(caches[i].restore(checkpoint.rings[i]));
        checkpoint.pending = false;
    }
    if (reply < 0 || computed < reply || end <= reply + kPartsBefore) return {};
    const int32_t begun = std::exchange(reply, -1);
    used = std::chrono::steady_clock::now();  // its own caches are not those that make room
    uint64_t bytes = 0;
    for (size_t i = 0; i < caches.size(); ++i)
        if (engine->in_host_memory(engine->parts[i])) bytes += caches[i].checkpoint_bytes();
    Checkpoint made;
    made.same = computed;
    Result<void> done = engine->make_room(end - computed, bytes);
    for (size_t i = 0; i < caches.size() && done; ++i) {
        Result<KvCheckpoint> ring = caches[i].checkpoint(stored);
        if (!ring)
            done = ring.error();
        else
            made.rings.push_back(std::move(*ring));
    }
    if (!done && done.error().code == Errc::device_lost) return done;
    if (!done) made = {};
    {
        const std::lock_guard lock(engine->caches_lock);
        checkpoint = std::move(made);
    }
    if (!done)  // told without the lock: whoever hears it may close a session
        engine->tell(concat("no checkpoint at position ", begun, ", so the next turn computes its prompt from the beginning: ",
                            done.error().message));
    return {};
}

}  // namespace lapidary
