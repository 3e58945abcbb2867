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

double stalled(const model::EngineState& engine) {
    const runtime::Pressure pressure = runtime::memory_pressure(engine.options.research.system_root);
    return pressure.known && pressure.full_avg10 > kStalled ? pressure.full_avg10 : 0;
}

// Buffers of steps longer than this one: the next long prompt takes them again.
uint64_t give_back_step_buffers(model::EngineState& engine, int32_t columns) {
    uint64_t bytes = 0;
    const auto from = [&](model::DevicePart& part) {
        if (part.workspace.columns <= std::max(columns, model::kFewColumns) || !engine.in_host_memory(part)) return;
        bytes += model::Workspace().growth(engine.loaded.config, part.workspace.columns);
        part.workspace = {};
    };
    for (model::DevicePart& part : engine.parts) {
        from(part);
        if (part.few) from(*part.few);
    }
    return bytes;
}

uint64_t give_back_idle_caches(model::EngineState& engine, int32_t) {
    const bool in_host = std::any_of(engine.parts.begin(), engine.parts.end(), [&](const auto& p) { return engine.in_host_memory(p); });
    return in_host ? engine.drop_caches(std::chrono::steady_clock::now() - kIdle) : 0;
}

// What an engine can do without, the cheapest to have again first. Clean pages of the model's file are not here: the kernel
// takes them back by itself.
constexpr struct {
    const char* name;
    uint64_t (*give_back)(model::EngineState& engine, int32_t columns);
} kInThisOrder[] = {
    {"step buffers of long prompts", give_back_step_buffers},
    {"keys and values of idle sessions", give_back_idle_caches},
};

}  // namespace

uint64_t Room::reserve() const {
    runtime::MachineFacts machine;
    machine.total_bytes = total;
    return runtime::floor_of(machine) / 2;
}

Room room_of(const std::filesystem::path& system_root) {
    constexpr uint64_t kUnknown = uint64_t{1} << 50;
    const runtime::Memory memory = runtime::memory(system_root);
    Room room{.left = memory.available_bytes > 0 ? runtime::usable_bytes(memory)
                      : memory.limit_bytes > 0   ? memory.limit_left_bytes
                      : memory.total_bytes > 0   ? memory.total_bytes
                                                 : kUnknown,
              .total = memory.total_bytes, .limited_by = "free memory"};
    if (memory.limit_bytes > 0 && room.left == memory.limit_left_bytes) {
        room.total = std::min(room.total, memory.limit_bytes);
        room.limited_by = concat("the limit of ", gibibytes(memory.limit_bytes), " of ", memory.limit_from);
    }
    return room;
}

bool model::EngineState::in_host_memory(const DevicePart& part) const {
    return part.gpu.empty() || !machine.gpu || machine.gpu->unified;
}

uint64_t model::EngineState::drop_caches(std::chrono::steady_clock::time_point unused_since) {
    const std::lock_guard lock(caches_lock);
    uint64_t bytes = 0;
    for (SessionState* session : sessions) {
        if (session->used > unused_since) continue;
        for (const KvCache& cache : session->caches) bytes += cache.bytes();
        session->caches.clear();
    }
    return bytes;
}

Result<void> model::EngineState::make_room(int32_t columns, uint64_t grows) {
    const auto now = std::chrono::steady_clock::now();
    if (grows == 0 && now - looked < kLook) return {};
    looked = now;
    Room room = room_of(options.research.system_root);
    if (room.left >= grows + room.reserve() && stalled(*this) == 0) {
        told_short = false;
        return {};
    }
    std::string given;
    for (const auto& thing : kInThisOrder)
        if (const uint64_t bytes = thing.give_back(*this, columns); bytes > 0)
            given += concat(given.empty() ? "" : ", ", thing.name, " (", gibibytes(bytes), ")");
    if (!given.empty() && !std::exchange(told_short, true))
        tell(concat("the machine is short of memory, ", gibibytes(room.left), " of ", room.limited_by, " are left: gave back ", given));
    if (!given.empty()) room = room_of(options.research.system_root);
    if (grows <= room.left) return {};
    return Error{Errc::does_not_fit,
                 concat("the next step needs ", gibibytes(grows), " more for keys, values and step buffers, and ", gibibytes(room.left), " of ",
                        room.limited_by, " are left"),
                 "the session is as it was: close other programs or sessions and go on"};
}

Result<void> check_room(const model::EngineState& engine) {
    const bool planned = engine.sessions_made++ < engine.options.sessions;
    const Room room = room_of(engine.options.research.system_root);
    uint64_t wanted = 0;
    const std::lock_guard lock(engine.parts_lock);
    for (const PlanRegion& r : engine.plan.regions)
        if (r.name.starts_with("KV cache") && r.where == "cpu") wanted += r.bytes / std::max(engine.options.sessions, 1u);
    const char* hint = "close other programs or sessions, or set EngineOptions::context to less";
    if (room.left < wanted + (planned ? 0 : room.reserve()))
        return Error{Errc::does_not_fit,
                     concat("a session needs ", gibibytes(wanted), " for keys and values, and ", gibibytes(room.left), " of ", room.limited_by,
                            " are left"), hint};
    if (const double percent = planned ? 0 : stalled(engine); percent > 0)
        return Error{Errc::does_not_fit,
                     concat("the machine is short of memory: its programs waited for it in ", static_cast<int>(percent),
                            " % of the last ten seconds"), hint};
    return {};
}

}  // namespace lapidary
