// Each remedy is tried by planning with it; see remedies.h.
#include "runtime/plan/remedies.h"

#include <algorithm>

#include "base/describe.h"

namespace lapidary::runtime {

std::vector<Remedy> remedies_for(const ModelFacts& model, const MachineFacts& machine, const Plan& plan, const Wishes& wishes) {
    std::vector<Remedy> out;
    const bool host = plan.total_bytes > plan.budget_bytes;  // it lacks memory of the machine, else of the GPU alone
    const auto try_one = [&](std::string text, const PlannedPlacement& placement, const Wishes& changed,
                             const ModelFacts& changed_model) {
        const Footprint then = footprint(changed_model, machine, placement, changed.kv.value_or(plan.kv), changed);
        const uint64_t saves = host ? excess(plan.total_bytes, then.host_bytes) : excess(plan.gpu_bytes, then.gpu_bytes);
        if (saves > 0) out.push_back({std::move(text), saves, any_fits(changed_model, machine, changed)});
    };
    const auto shorter = [&](Wishes changed, const char* with) {
        for (changed.context /= 2; changed.context > 1024 && !any_fits(model, machine, changed);) changed.context /= 2;
        if (changed.context >= 256)
            try_one(concat("a shorter context: --ctx ", changed.context, with), plan.placement, changed, model);
    };
    Wishes small_cache = wishes;
    small_cache.kv = KvFormat::q8_0;
    const bool larger_cache = wishes.kv && !wishes.kv_fixed && *wishes.kv != KvFormat::q8_0;  // without a wish q8_0 did not fit either
    if (larger_cache) try_one("an 8-bit cache: --kv q8_0", plan.placement, small_cache, model);
    shorter(wishes, "");
    if (wishes.sessions > 1) {
        Wishes one = wishes;
        one.sessions = 1;
        try_one("one session instead of " + std::to_string(wishes.sessions), plan.placement, one, model);
    }
    if (!host) {  // memory of the machine is left
        Wishes some = wishes, none = wishes;
        some.kinds = {PlacementKind::layers};
        some.gpu_layers = model.layer_count() - 1;
        while (*some.gpu_layers > 0 && !any_fits(model, machine, some)) --*some.gpu_layers;
        none.kinds = {PlacementKind::cpu};
        if (*some.gpu_layers > 0)
            try_one(concat("fewer layers on the GPU: --placement split --gpu-layers ", *some.gpu_layers),
                    {PlacementKind::layers, *some.gpu_layers, 0}, some, model);
        else if (any_fits(model, machine, none))
            try_one("no layers on the GPU: --placement cpu", {}, none, model);
    }
    ModelFacts small = model;  // 4.5 bits a weight, and 6.5625 in the embedding
    for (LayerFacts& l : small.layers) l.weight_bytes = std::min(l.weight_bytes, static_cast<uint64_t>(l.macs * 0.5625));
    small.embedding_bytes = std::min(small.embedding_bytes, static_cast<uint64_t>(small.head_macs * 6.5625 / 8));
    const uint64_t smaller = excess(model.weight_bytes(), small.weight_bytes());  // less than a twentieth are norms and the like
    if (smaller > model.weight_bytes() / 20)
        try_one("a file of 4 bits a weight: lapidary pack --type q4_0", plan.placement, wishes, small);
    const auto enough = [](const Remedy& r) { return r.enough; };
    if (std::none_of(out.begin(), out.end(), enough) && larger_cache) shorter(small_cache, " --kv q8_0");
    if (host) {
        const uint64_t wanted = plan.total_bytes + floor_of(machine);  // of usable memory
        Wishes larger = wishes;
        MachineFacts freed = machine;
        if (wishes.memory_bytes) {
            const uint64_t more = plan.total_bytes - plan.budget_bytes;
            larger.memory_bytes = plan.total_bytes;  // which is no wish to swap
            out.push_back({"a larger --memory", more,
                           wanted <= machine.usable_bytes && any_fits(model, machine, larger)});
        } else {
            const uint64_t more = wanted - machine.usable_bytes;
            freed.usable_bytes = wanted;
            out.push_back({machine.limited_by.starts_with("the limit") ? "raising " + machine.limited_by : "closing other programs", more,
                           wanted <= machine.total_bytes && any_fits(model, freed, wishes)});
        }
    }
    std::stable_partition(out.begin(), out.end(), enough);
    if (out.size() > 3) out.resize(3);
    return out;
}

}  // namespace lapidary::runtime
