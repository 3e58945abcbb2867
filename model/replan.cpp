// The plan of an engine that is open: told again when power changes speeds, and followed to other devices where that pays.
#include <algorithm>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/engine_state.h"
#include "runtime/cpu/power.h"

namespace lapidary {
namespace {

constexpr double kPays = 1.1;  // a move costs all that sessions had computed

double seconds_of(const runtime::Plan& plan) {
    for (const runtime::Plan::Option& o : plan.options)
        if (o.placement.kind == plan.placement.kind) return o.seconds;
    return 0;
}

}  // namespace

void model::EngineState::publish(const runtime::Plan& made) {
    const std::lock_guard lock(parts_lock);
    placement = made.placement;
    plan = public_plan(made, loaded, commonest_type(loaded.weights), machine.name);
}

Result<runtime::Plan> model::EngineState::plan_again(bool here) const {
    EngineOptions same = options;
    same.kv = info.kv;
    return plan_for(same, loaded, info.context, machine, here ? &placement : nullptr);
}

Result<void> model::EngineState::follow_power() {
    const std::string now = runtime::name(runtime::power_state(options.research.system_root));
    if (power.empty() || now == power) return {};
    auto facts = this_machine(options);
    const bool wants_gpu = placement.kind != runtime::PlacementKind::cpu;
    if (!facts || (wants_gpu && !facts->gpu)) return {};  // a GPU that is gone shows when it is to compute
    facts->total_bytes = machine.total_bytes;  // what may be used was settled at the start, and is taken by now
    facts->usable_bytes = machine.usable_bytes;
    facts->limited_by = machine.limited_by;
    machine = std::move(*facts);
    const std::string before = std::exchange(power, now);
    std::unique_lock lock_of_media(media_lock);  // a projector may join meanwhile
    LAP_ASSIGN(const runtime::Plan stay, plan_again(true));
    LAP_ASSIGN(const runtime::Plan best, plan_again(!may_move || machine.power != now));  // others only by rates of this state
    lock_of_media.unlock();
    const double faster = seconds_of(best) > 0 ? seconds_of(stay) / seconds_of(best) : 0;
    if (!best.fits || faster < kPays || best.placement == placement) return publish(stay), Result<void>();
    drop_caches(std::chrono::steady_clock::time_point::max());
    {
        std::vector<DevicePart> left;  // whose memory goes before the next device wants as much
        const std::lock_guard lock(parts_lock);
        left.swap(parts);
        ++generation;
    }
    publish(best);
    if (const auto moved = set_up(make_parts, true, {}); !moved) {
        tell(concat("power changed, and the model cannot be moved: ", moved.error().message, "; going on on the CPU"));
        return ready();
    }
    tell(concat("power changed from ", in_quotes(before), " to ", in_quotes(now), ": going on ",
                runtime::describe(placement, info.layers), ", for ", static_cast<int>(faster * 10) / 10.0,
                " times the speed; what sessions had computed is computed anew"));
    return {};
}

}  // namespace lapidary
