// Writing and reading sessions, a layer at a time; see session_file.h. The container is runtime/file/section_file.h.
#include "model/session_file.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/json_fields.h"
#include "runtime/file/json_file.h"
#include "runtime/file/section_file.h"

namespace lapidary {

namespace {

using runtime::SectionReader;
using runtime::SectionWriter;

constexpr runtime::SectionFileKind kSessionKind{{'L', 'A', 'P', 'I', 'S', 'E', 'S', 'S'}, 1, "a saved session"};
constexpr size_t kPiece = 4 << 20;

Error computing_here(const char* what) {
    return {Errc::invalid_argument, concat("a sink of forward or a progress sink ", what, " a session of the engine that computes"),
            "wait until the call has returned; only the sink of generate's tokens may"};
}

const model::MediaRows* pending_of(const model::SessionState& s, size_t soft) {
    for (const auto& p : s.pending)
        if (p.index == soft) return p.rows.get();
    return nullptr;
}

// ---- what is in the file ---------------------------------------------------------------------------

// The numbers of a session; arrays of bytes follow in sections.
struct Facts {
    std::string identity, name, kv;
    int32_t tokens = 0, computed = 0, stored = 0, delivered = 0, reply = -1;
    int32_t ring = 1;  // rows of sliding layers that are kept
    bool turn_begins = false;
    struct Ring {
        bool taken = false, pending = false;
        int32_t stored = 0, same = 0;
    } checkpoint = {};
    uint64_t note_bytes = 0;
    struct Media {
        int32_t position = 0, count = 0;
        bool block = false, pending = false;
        model::MediaContent content;
    };
    std::vector<Media> media = {};
};

Facts facts_of(const model::SessionState& s, bool with_rows, size_t note_bytes) {
    const model::EngineState& e = *s.engine;
    Facts f;
    f.identity = e.identity;
    f.name = e.info.name;
    f.kv = name(e.kv_format());
    f.tokens = s.size();
    f.delivered = s.delivered;
    f.reply = s.reply;
    f.turn_begins = s.turn_begins;
    f.note_bytes = note_bytes;
    if (with_rows) {
        f.computed = s.computed;
        f.stored = s.stored;
        f.ring = s.caches.front().kept_rows();
        if (s.checkpoint.taken()) f.checkpoint = {true, s.checkpoint.pending, s.checkpoint.rings.front().stored, s.checkpoint.same};
    }
    for (size_t i = 0; i < s.soft.size(); ++i) {
        const model::SoftRows& m = s.soft[i];
        f.media.push_back({m.position, m.count, m.block, pending_of(s, i) != nullptr, m.content});
    }
    return f;
}

std::string header_of(const Facts& f) {
    nlohmann::json media = nlohmann::json::array();
    for (const auto& m : f.media) media.push_back({m.position, m.count, m.block, m.pending, m.content.low, m.content.high});
    nlohmann::json out{{"program", version()}, {"model", f.name}, {"identity", f.identity}, {"kv", f.kv}, {"tokens", f.tokens},
                       {"computed", f.computed}, {"stored", f.stored}, {"ring", f.ring}, {"delivered", f.delivered}, {"reply", f.reply},
                       {"turn_begins", f.turn_begins}, {"note_bytes", f.note_bytes}, {"media", std::move(media)}};
    const auto& c = f.checkpoint;
    if (c.taken) out["checkpoint"] = {{"pending", c.pending}, {"stored", c.stored}, {"same", c.same}};
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Whether the numbers can be those of one sequence.
bool consistent(const Facts& f) {
    const auto within = [](int32_t low, int32_t value, int32_t high) { return low <= value && value <= high; };
    bool good = f.tokens >= 0 && within(0, f.computed, f.tokens) && f.computed <= f.stored && within(0, f.delivered, f.tokens) &&
                within(-1, f.reply, f.tokens) && f.ring > 0 && f.stored <= model::kMaxContext;
    if (f.checkpoint.taken) good = good && within(1, f.checkpoint.stored, model::kMaxContext) && within(0, f.checkpoint.same, f.checkpoint.stored);
    int32_t end = 0;
    for (const auto& m : f.media) {
        good = good && m.count > 0 && m.position >= end && m.position <= f.tokens && m.count <= f.tokens - m.position && (!m.pending || m.position >= f.computed);
        if (!good) return false;
        end = m.position + m.count;
    }
    return good;
}

Result<Facts> read_facts(const SectionReader& file) {
    const auto read = [&]() -> Result<Facts> {
        LAP_ASSIGN(const nlohmann::json json, runtime::parse_json_object(file.header(), "its header"));
        const model::JsonFields fields(json, "its header");
        Facts f;
        LAP_ASSIGN(f.identity, fields.text("identity", ""));
        LAP_ASSIGN(f.name, fields.text("model", ""));
        LAP_ASSIGN(f.kv, fields.text("kv", ""));
        const std::pair<const char*, int32_t*> numbers[] = {{"tokens", &f.tokens}, {"computed", &f.computed}, {"stored", &f.stored},
                                                            {"ring", &f.ring}, {"delivered", &f.delivered}, {"reply", &f.reply}};
        for (const auto& [key, target] : numbers) {
            LAP_ASSIGN(*target, fields.integer(key));
        }
        LAP_ASSIGN(f.turn_begins, fields.boolean("turn_begins", false));
        const nlohmann::json* note = fields.get("note_bytes");
        if (!note || !note->is_number_unsigned()) return fields.wrong("note_bytes", "a number");
        f.note_bytes = note->get<uint64_t>();
        LAP_ASSIGN(const nlohmann::json* ring, fields.object("checkpoint"));
        if (ring) {
            const model::JsonFields of(*ring, "its checkpoint");
            f.checkpoint.taken = true;
            LAP_ASSIGN(f.checkpoint.pending, of.boolean("pending", false));
            LAP_ASSIGN(f.checkpoint.stored, of.integer("stored"));
            LAP_ASSIGN(f.checkpoint.same, of.integer("same"));
        }
        LAP_ASSIGN(const nlohmann::json* media, fields.array("media"));
        for (const nlohmann::json& m : media ? *media : nlohmann::json::array()) {
            const bool whole = m.is_array() && m.size() == 6 && m[0].is_number_unsigned() && m[1].is_number_unsigned() && m[2].is_boolean() &&
                               m[3].is_boolean() && m[4].is_number_unsigned() && m[5].is_number_unsigned() &&
                               std::max(m[0].get<uint64_t>(), m[1].get<uint64_t>()) <= model::kMaxContext;
            if (!whole) return fields.wrong("media", "a list of places and hashes");
            f.media.push_back({m[0], m[1], m[2], m[3], {m[4], m[5]}});
        }
        return f;
    };
    Result<Facts> facts = read();
    if (!facts) return file.damaged(facts.error().message);
    if (!consistent(*facts)) return file.damaged("the numbers of its header contradict each other");
    return facts;
}

// Calls `each(cache, layer)` for every layer in the order of the model.
template <class Each>
Result<void> each_layer(const model::EngineState& e, const std::vector<model::KvCache>& caches, const Each& each) {
    for (size_t i = 0; i < caches.size(); ++i)
        for (int32_t l = e.parts[i].first; l < e.parts[i].last; ++l) LAP_TRY(each(i, l));
    return {};
}

bool slides(const model::EngineState& e, int32_t layer) {
    return e.loaded.config.layers[static_cast<size_t>(layer)].kind == model::LayerKind::sliding;
}

// Of a layer, when so many positions were stored.
int32_t first_kept(const model::EngineState& e, const Facts& f, int32_t layer, int32_t stored) {
    return slides(e, layer) ? std::max(0, stored - f.ring) : 0;
}

int64_t position_bytes(const model::EngineState& e, int32_t layer) {
    return model::KvCache::position_bytes_of(e.loaded.config, e.loaded.config.layers[static_cast<size_t>(layer)], e.kv_format());
}

uint64_t media_bytes(const model::EngineState& e, const Facts::Media& m) {
    const model::ModelConfig& config = e.loaded.config;
    const auto count = static_cast<uint64_t>(m.count);
    if (!m.pending) return count * static_cast<uint64_t>(config.hidden) * sizeof(float);
    if (!m.block) return count * static_cast<uint64_t>(config.audio->samples_per_token) * sizeof(float);
    return count * (static_cast<uint64_t>(config.vision->patch_values()) * sizeof(float) + 2 * sizeof(int32_t));
}

// ---- out -------------------------------------------------------------------------------------------

template <class T>
Result<void> write_all(SectionWriter& file, const std::vector<T>& values) {
    return file.write(values.data(), values.size() * sizeof(T));
}

Result<void> write_media(SectionWriter& file, const model::SessionState& s) {
    for (size_t i = 0; i < s.soft.size(); ++i) {
        const model::MediaRows* rows = pending_of(s, i);
        if (!rows) {
            LAP_TRY(write_all(file, s.soft[i].rows));
        } else if (rows->picture) {
            LAP_TRY(write_all(file, rows->patches.values));
            LAP_TRY(write_all(file, rows->patches.x));
            LAP_TRY(write_all(file, rows->patches.y));
        } else {
            LAP_TRY(write_all(file, rows->frames));
        }
    }
    return file.end_section();
}

Result<void> write_runs(SectionWriter& file, runtime::Device& device, const std::vector<model::KvCache::Run>& runs) {
    std::vector<std::byte> piece;
    for (const auto& run : runs)
        for (size_t at = 0; at < run.bytes; at += kPiece) {
            piece.resize(std::min(kPiece, run.bytes - at));
            LAP_TRY(device.download(run.buffer, run.offset + at, piece));
            LAP_TRY(file.write(piece.data(), piece.size()));
        }
    return file.end_section();
}

Result<void> write_session(const model::SessionState& s, const std::filesystem::path& path, std::string_view note, bool with_rows) {
    const model::EngineState& e = *s.engine;
    const Facts f = facts_of(s, with_rows, note.size());
    uint64_t bytes = note.size() + s.ids.size() * sizeof(int32_t);
    size_t sections = 3;
    for (const auto& m : f.media) bytes += media_bytes(e, m);
    struct Part {
        size_t cache;
        int32_t layer, first, end;
        const runtime::KvSegment* ring;
    };
    std::vector<Part> parts;
    const auto add = [&](size_t cache, int32_t layer, int32_t first, int32_t end, const runtime::KvSegment* ring) {
        parts.push_back({cache, layer, first, end, ring});
        bytes += static_cast<uint64_t>((end - first) * position_bytes(e, layer));
        sections++;
    };
    if (f.computed > 0) {
        LAP_TRY(each_layer(e, s.caches, [&](size_t i, int32_t layer) -> Result<void> {
            add(i, layer, std::min(first_kept(e, f, layer, f.stored), f.computed), f.computed, nullptr);
            if (f.checkpoint.taken && slides(e, layer))
                add(i, layer, first_kept(e, f, layer, f.checkpoint.stored), f.checkpoint.stored, &s.checkpoint.rings[i].ring);
            return {};
        }));
    }
    LAP_ASSIGN(SectionWriter file, SectionWriter::create(path, kSessionKind, header_of(f), bytes, sections));
    LAP_TRY(write_all(file, s.ids));
    LAP_TRY(file.end_section());
    LAP_TRY(file.write(note.data(), note.size()));
    LAP_TRY(file.end_section());
    LAP_TRY(write_media(file, s));
    for (const Part& p : parts)
        LAP_TRY(write_runs(file, *e.parts[p.cache].device, s.caches[p.cache].runs(p.layer, p.first, p.end, p.ring)));
    return file.finish();
}

// ---- in --------------------------------------------------------------------------------------------

template <class T>
Result<void> read_all(SectionReader& file, std::vector<T>& values, uint64_t count) {
    if (count > file.left() / sizeof(T)) return file.damaged(concat(count, " numbers cannot be in it"));
    values.resize(static_cast<size_t>(count));
    return file.read(values.data(), values.size() * sizeof(T));
}

Result<void> read_media(SectionReader& file, const Facts& f, model::SessionState& s) {
    const model::ModelConfig& config = s.engine->loaded.config;
    for (const auto& m : f.media) {
        const auto count = static_cast<uint64_t>(m.count);
        model::SoftRows soft{m.position, m.count, m.block, {}, m.content};
        if (!m.pending) {
            LAP_TRY(read_all(file, soft.rows, count * static_cast<uint64_t>(config.hidden)));
        } else {
            auto rows = std::make_shared<model::MediaRows>();
            rows->picture = m.block;
            if (m.block) {
                LAP_TRY(read_all(file, rows->patches.values, count * static_cast<uint64_t>(config.vision->patch_values())));
                LAP_TRY(read_all(file, rows->patches.x, count));
                LAP_TRY(read_all(file, rows->patches.y, count));
                for (const auto* places : {&rows->patches.x, &rows->patches.y})
                    for (const int32_t place : *places)
                        if (place < 0 || place >= config.vision->positions) return file.damaged(concat("a patch of a picture at place ", place));
            } else {
                LAP_TRY(read_all(file, rows->frames, count * static_cast<uint64_t>(config.audio->samples_per_token)));
            }
            rows->seal();
            s.pending.push_back({s.soft.size(), std::move(rows)});
        }
        s.soft.push_back(std::move(soft));
    }
    return file.end_section();
}

Result<void> read_runs(SectionReader& file, runtime::Device& device, const std::vector<model::KvCache::Run>& runs) {
    std::vector<std::byte> piece;
    for (const auto& run : runs)
        for (size_t at = 0; at < run.bytes; at += kPiece) {
            piece.resize(std::min(kPiece, run.bytes - at));
            LAP_TRY(file.read(piece.data(), piece.size()));
            LAP_TRY(device.upload(piece, run.buffer, run.offset + at));
        }
    return file.end_section();
}

Result<void> skip(SectionReader& file, uint64_t bytes) {
    std::vector<std::byte> piece(static_cast<size_t>(std::min<uint64_t>(bytes, kPiece)));
    for (uint64_t at = 0; at < bytes; at += kPiece) LAP_TRY(file.read(piece.data(), static_cast<size_t>(std::min<uint64_t>(kPiece, bytes - at))));
    return file.end_section();
}

// Keys and values of the session, whose caches are new.
Result<void> read_rows(SectionReader& file, const Facts& f, model::SessionState& s) {
    model::EngineState& e = *s.engine;
    // A shorter context may have a shorter ring, and then all that was stored once must fit into it.
    const bool ring_fits = f.checkpoint.taken && f.checkpoint.stored <= s.context();
    uint64_t grows = 0;
    for (size_t i = 0; i < s.caches.size(); ++i)
        if (e.in_host_memory(e.parts[i]))
            grows += s.caches[i].bytes() + s.caches[i].growth(0, f.computed) + (ring_fits ? s.caches[i].checkpoint_bytes() : 0);
    LAP_TRY(e.make_room(model::kFewColumns, grows));
    model::SessionState::Checkpoint checkpoint{.rings = {}, .same = f.checkpoint.same, .pending = f.checkpoint.pending};
    for (model::KvCache& cache : s.caches) {
        LAP_TRY(cache.reserve(0, f.computed));
        if (!ring_fits) continue;
        LAP_ASSIGN(auto ring, cache.empty_checkpoint(f.checkpoint.stored));
        checkpoint.rings.push_back(std::move(ring));
    }
    const auto read_layer = [&](size_t i, int32_t layer) -> Result<void> {
        runtime::Device& device = *e.parts[i].device;
        const model::KvCache& cache = s.caches[i];
        LAP_TRY(read_runs(file, device, cache.runs(layer, std::min(first_kept(e, f, layer, f.stored), f.computed), f.computed)));
        if (!f.checkpoint.taken || !slides(e, layer)) return {};
        const int32_t first = first_kept(e, f, layer, f.checkpoint.stored), end = f.checkpoint.stored;
        if (!ring_fits) return skip(file, static_cast<uint64_t>((end - first) * position_bytes(e, layer)));
        return read_runs(file, device, cache.runs(layer, first, end, &checkpoint.rings[i].ring));
    };
    LAP_TRY(each_layer(e, s.caches, read_layer));
    // Rows of rings that were to come back from a copy for which there is no room: all is computed anew.
    if (f.checkpoint.pending && !ring_fits) return {};
    const std::lock_guard lock(e.caches_lock);
    if (ring_fits) s.checkpoint = std::move(checkpoint);
    s.computed = f.computed;
    s.stored = f.stored;
    return {};
}

Result<void> check_facts(const Facts& f, const std::filesystem::path& path, const model::EngineState& e) {
    const std::string file = in_quotes(path.string());
    if (f.identity != e.identity)
        return Error{Errc::bad_session_file,
                     concat(file, " was saved with another model, ", in_quotes(f.name), "; this one is ", in_quotes(e.info.name), " with other weights"),
                     "open the model that it was saved with"};
    if (f.kv != name(e.kv_format()))
        return Error{Errc::bad_session_file, concat(file, " has keys and values in ", in_quotes(f.kv), ", this engine keeps them in ", name(e.kv_format())),
                     concat("set EngineOptions::kv to ", in_quotes(f.kv))};
    if (f.tokens > static_cast<int32_t>(e.info.context))
        return Error{Errc::context_full, concat(file, " has ", f.tokens, " tokens, the context has ", e.info.context),
                     concat("set EngineOptions::context to ", f.tokens, " or more")};
    return {};
}

}  // namespace

Result<void> model::save_session(const SessionState& s, const std::filesystem::path& path, std::string_view note) {
    EngineState& e = *s.engine;
    if (Turn::held_here(e.turns)) return computing_here("saves");
    const Turn turn(e.turns, {});
    const bool with_rows = !s.caches.empty() && s.generation == e.generation;
    Result<void> done = write_session(s, path, note, with_rows);
    if (done || done.error().code != Errc::device_lost) return done;
    return write_session(s, path, note, false);  // who computes next replaces the device, and has everything computed again
}

Result<model::SavedSession> model::restore_session(std::shared_ptr<EngineState> engine, const std::filesystem::path& path) {
    EngineState& e = *engine;
    if (e.options.prompts_only)
        return Error{Errc::invalid_argument, "the model was opened for prompts only, without its weights", "open an engine without prompts_only for that"};
    if (Turn::held_here(e.turns)) return computing_here("restores");
    LAP_ASSIGN(SectionReader file, SectionReader::open(path, kSessionKind));
    LAP_ASSIGN(const Facts f, read_facts(file));
    LAP_TRY(check_facts(f, path, e));
    for (const auto& m : f.media)
        if (m.pending) LAP_TRY(e.take_media(m.block, !m.block));
    LAP_TRY(check_room(e));
    SavedSession out{std::make_unique<SessionState>(engine), {}};
    SessionState& s = *out.session;
    LAP_TRY(read_all(file, s.ids, static_cast<uint64_t>(f.tokens)));
    LAP_TRY(file.end_section());
    for (const int32_t id : s.ids)
        if (id < 0 || id >= e.loaded.config.vocab) return file.damaged(concat("there is no token ", id));
    if (f.note_bytes > file.left()) return file.damaged(concat("a note of ", f.note_bytes, " bytes cannot be in it"));
    out.note.resize(static_cast<size_t>(f.note_bytes));
    LAP_TRY(file.read(out.note.data(), out.note.size()));
    LAP_TRY(file.end_section());
    LAP_TRY(read_media(file, f, s));
    s.delivered = f.delivered;
    s.reply = f.reply;
    s.turn_begins = f.turn_begins;
    const Turn turn(e.turns, {});
    LAP_TRY(e.ready());
    Result<void> done = s.make_caches();
    if (done && f.computed > 0) done = read_rows(file, f, s);
    if (done) return out;
    if (done.error().code != Errc::device_lost) return done.error();
    s.forget_caches();
    LAP_TRY(e.recover(done.error()));
    return out;
}

Result<void> Session::save(const std::filesystem::path& file) const try {
    return model::save_session(*state_, file, {});
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<Session> Session::restore(const Engine& engine, const std::filesystem::path& file) try {
    LAP_ASSIGN(auto saved, model::restore_session(model::Access::shared(engine), file));
    return model::Access::session(std::move(saved.session));
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
