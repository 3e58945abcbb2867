// Other programs want memory too: what is left is looked at before more is taken, and what an engine can do without is given
// back before the machine swaps.
#include <algorithm>
#include <utility>

#include "base/describe.h"
#include "model/engine_state.h"
#include "model/session_state.h"
#include "runtime/memory/budget.h"

namespace lapidary {

using runtime::gibibytes;

namespace {

constexpr double kStalled = 10;  // percent of the last ten seconds in which nothing but waiting for memory went on
constexpr auto kLook = std::chrono::seconds(1);  // so often where nothing grows
constexpr auto kIdle = std::chrono::seconds(30);  // caches of sessions that have not computed for so long are given back

bool stalled(const runtime::Pressure& pressure) { return pressure.known && pressure.full_avg10 > kStalled; }

// Buffers of steps longer than this one: the next long prompt takes them again.
uint64_t give_back_step_buffers(model::EngineState& engine, int32_t columns) {
    uint64_t bytes = 0;
    for (model::DevicePart& part : engine.parts) {  // `few` has none for long steps
        if (part.workspace.columns <= std::max(columns, model::kFewColumns) || !engine.in_host_memory(part)) continue;
        bytes += model::Workspace().growth(engine.loaded.config, part.workspace.columns);
        part.workspace = {};
    }
    return bytes;
}

// What an engine can do without, the cheapest to have again first. Clean pages of the model's file are not here: the kernel
// takes them back by itself.
constexpr struct {
    const char* name;
    uint64_t (*give_back)(model::EngineState& engine, int32_t columns);
} kInThisOrder[] = {
    {"step buffers of long prompts", give_back_step_buffers},
    {"decoded media", [](model::EngineState& engine, int32_t) { return engine.media.forget(); }},
    {"checkpoints of conversations", [](model::EngineState& engine, int32_t) {
        return engine.in_host_memory(engine.parts.front()) ? engine.drop_checkpoints() : 0;
    }},
    {"keys and values of idle sessions", [](model::EngineState& engine, int32_t) {
        return engine.in_host_memory(engine.parts.front()) ? engine.drop_caches(std::chrono::steady_clock::now() - kIdle) : 0;
    }},
};

}  // namespace

Room room_of(const EngineOptions& options, bool opened) {
    const runtime::Memory memory = runtime::memory(options.research.system_root);
    Room room{.left = memory.total_bytes > 0 ? memory.total_bytes : uint64_t{1} << 50, .total = memory.total_bytes, .limited_by = "free memory"};
    if (memory.limit_bytes > 0) room.left = memory.limit_left_bytes;
    if (memory.available_bytes > 0 && !(opened && options.memory_bytes)) room.left = runtime::usable_bytes(memory);
    if (memory.limit_bytes > 0 && room.left == memory.limit_left_bytes) {
        room.total = std::min(room.total, memory.limit_bytes);
        room.limited_by = concat("the limit of ", gibibytes(memory.limit_bytes), " of ", memory.limit_from);
    }
    runtime::MachineFacts machine;
    machine.total_bytes = room.total;
    room.reserve = runtime::floor_of(machine) / 2;
    return room;
}

bool model::EngineState::in_host_memory(const DevicePart& part) const {
    return part.gpu.empty() || !machine.gpu || machine.gpu->unified;
}

uint64_t model::EngineState::drop_caches(std::chrono::steady_clock::time_point unused_since) {
    const std::lock_guard lock(caches_lock);
    uint64_t bytes = 0;
    for (SessionState* session : sessions) {
        if (session->stays || session->used > unused_since) continue;
        for (const KvCache& cache : session->caches) bytes += cache.bytes();
        session->caches.clear();
        session->checkpoint = {};
    }
    return bytes;
}

uint64_t model::EngineState::drop_checkpoints() {
    const std::lock_guard lock(caches_lock);
    uint64_t bytes = 0;
    for (SessionState* session : sessions) {
        if (!session->checkpoint.taken() || session->checkpoint.pending) continue;
        for (const KvCache& cache : session->caches) bytes += cache.checkpoint_bytes();
        session->checkpoint = {};
    }
    return bytes;
}

Result<void> model::EngineState::make_room(int32_t columns, uint64_t grows) {
    const auto now = std::chrono::steady_clock::now();
    if (grows == 0 && now - looked < kLook) return {};
    looked = now;
    Room room = room_of(options, true);
    if (room.left >= grows + room.reserve && !stalled(runtime::memory_pressure(options.research.system_root))) {
        told_short = false;
        return {};
    }
    std::string given;
    for (const auto& thing : kInThisOrder)
        if (const uint64_t bytes = thing.give_back(*this, columns); bytes > 0)
            given += concat(given.empty() ? "" : ", ", thing.name, " (", gibibytes(bytes), ")");
    if (!given.empty() && !std::exchange(told_short, true))
        tell(concat("the machine is short of memory, ", gibibytes(room.left), " of ", room.limited_by, " are left: gave back ", given));
    if (!given.empty()) room = room_of(options, true);
    if (grows <= room.left) return {};
    return Error{Errc::does_not_fit,
                 concat("the next step needs ", gibibytes(grows), " more for keys, values and step buffers, and ", gibibytes(room.left), " of ",
                        room.limited_by, " are left"),
                 "the session is as it was: close other programs or sessions and go on"};
}

Result<void> check_room(const model::EngineState& engine) {
    const bool planned = engine.sessions_made < engine.options.sessions;
    const Room room = room_of(engine.options, true);
    uint64_t wanted = 0;
    const std::lock_guard lock(engine.parts_lock);
    for (const PlanRegion& r : engine.plan.regions)
        if (r.name.starts_with("KV cache") && r.where == "cpu") wanted += r.bytes / std::max(engine.options.sessions, 1u);
    const char* hint = "close other programs or sessions, or set EngineOptions::context to less";
    if (room.left < wanted + (planned ? 0 : room.reserve))
        return Error{Errc::does_not_fit,
                     concat("a session needs ", gibibytes(wanted), " for keys and values, and ", gibibytes(room.left), " of ", room.limited_by,
                            " are left"), hint};
    const runtime::Pressure pressure = runtime::memory_pressure(engine.options.research.system_root);
    if (!planned && stalled(pressure))
        return Error{Errc::does_not_fit,
                     concat("the machine is short of memory: its programs waited for it in ", static_cast<int>(pressure.full_avg10),
                            " % of the last ten seconds"), hint};
    ++engine.sessions_made;
    return {};
}

}  // namespace lapidary
