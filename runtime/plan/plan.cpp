// The search among placements, and the sentences that explain it; see plan.h.
#include "runtime/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/describe.h"
#include "runtime/plan/remedies.h"

namespace lapidary::runtime {
namespace {

std::string fixed(double value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

// Shares of rows among which the fastest ones that fit are. Time is convex in the share, a sum of steps in each of which the
// slower device counts: its least value lies where both end together in one of these steps, where memory ends, or at the ends,
// where nobody waits for the other. In one memory prompts and replies may have a share each.
std::vector<PlannedPlacement> shares_of(const ModelFacts& model, const MachineFacts& machine, KvFormat kv, const Wishes& wishes) {
    const auto rows = [&](double share, std::optional<double> few = {}) {
        return PlannedPlacement{PlacementKind::rows, model.layer_count(), share, few};
    };
    if (wishes.gpu_share) return {rows(std::clamp(*wishes.gpu_share, 0.0, 1.0), wishes.few_share)};
    const auto with = [&](double share) { return footprint(model, machine, rows(share), kv, wishes); };
    const Footprint none = with(0), all = with(1);
    const auto weights = static_cast<double>(all.gpu_bytes - none.gpu_bytes);
    double least = 0, most = 1;
    if (const uint64_t heap = machine.gpu->heap_bytes; all.gpu_bytes > heap && heap >= none.gpu_bytes)
        most = static_cast<double>(heap - none.gpu_bytes) / weights;
    if (const uint64_t budget = budget_of(machine, wishes); !machine.gpu->unified && none.host_bytes > budget)
        least = std::min(1.0, static_cast<double>(none.host_bytes - budget + 1) / weights);
    std::vector<double> shares = {0, 1};
    for (const int64_t columns : {1, std::min(wishes.prompt, model.chunk), wishes.prompt % model.chunk})
        if (columns > 0) shares.push_back(balanced_share(model, machine, columns).value_or(0.5));
    std::vector<PlannedPlacement> out;
    for (const double share : shares) {
        out.push_back(rows(least <= most ? std::clamp(share, least, most) : share));
        for (const double few : shares)
            if (machine.gpu->unified && few != share) out.push_back(rows(share, few));
    }
    return out;
}

// Every placement of a kind that is worth a look.
std::vector<PlannedPlacement> placements_of(PlacementKind kind, const ModelFacts& model, const MachineFacts& machine, KvFormat kv,
                                            const Wishes& wishes) {
    const int32_t layers = model.layer_count();
    if (kind == PlacementKind::cpu) return {{kind, 0, 0}};
    if (!machine.gpu || (kind == PlacementKind::phases && !machine.gpu->unified)) return {};
    if (kind == PlacementKind::gpu || kind == PlacementKind::phases) return {{kind, layers, 1}};
    if (kind == PlacementKind::rows) return shares_of(model, machine, kv, wishes);
    if (wishes.gpu_layers && *wishes.gpu_layers <= 0) return {{PlacementKind::cpu, 0, 0}};
    if (wishes.gpu_layers && *wishes.gpu_layers >= layers) return {{PlacementKind::gpu, layers, 1}};
    if (wishes.gpu_layers) return {{kind, *wishes.gpu_layers, 0}};
    std::vector<PlannedPlacement> out;
    for (int32_t n = layers - 1; n >= 1; --n) out.push_back({kind, n, 0});
    return out;
}

struct Choice {
    PlannedPlacement placement;
    Footprint footprint;
    uint64_t lacks = 0;  // bytes of the machine's memory and of the GPU's
    double seconds = 0;  // of the request; 0: not known

    // Whether this one is to be preferred. What fits goes first, then what is known, then what is fast; the CPU where no speed
    // is known.
    bool better_than(const Choice& other) const {
        if (lacks != other.lacks) return lacks < other.lacks;
        if ((seconds > 0) != (other.seconds > 0)) return seconds > 0;
        if (seconds != other.seconds) return seconds < other.seconds;
        return seconds == 0 && placement.kind == PlacementKind::cpu && other.placement.kind != PlacementKind::cpu;
    }
};

double request_seconds(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                       const Wishes& wishes) {
    return prefill_seconds(model, machine, placement, kv, wishes.prompt) +
           wishes.reply * decode_seconds(model, machine, placement, kv, wishes.prompt + wishes.reply / 2);
}

// The best placement of each allowed kind, in the order of the wishes.
std::vector<Choice> choices(const ModelFacts& model, const MachineFacts& machine, KvFormat kv, const Wishes& wishes) {
    std::vector<Choice> out;
    for (const PlacementKind kind : wishes.kinds) {
        std::optional<Choice> best;
        for (const PlannedPlacement& p : placements_of(kind, model, machine, kv, wishes)) {
            Choice c{p, footprint(model, machine, p, kv, wishes), 0, request_seconds(model, machine, p, kv, wishes)};
            c.lacks = excess(c.footprint.host_bytes, budget_of(machine, wishes)) +
                      excess(c.footprint.gpu_bytes, machine.gpu ? machine.gpu->heap_bytes : 0);
            if (!best || c.better_than(*best)) best = std::move(c);
        }
        if (best) out.push_back(std::move(*best));
    }
    return out;
}

Speed speed_of(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
               const Wishes& wishes) {
    const double prefill = prefill_seconds(model, machine, placement, kv, wishes.prompt);
    const double decode = decode_seconds(model, machine, placement, kv, wishes.prompt + wishes.reply / 2);
    return {prefill > 0 ? wishes.prompt / prefill : 0, decode > 0 ? 1 / decode : 0};
}

std::vector<KvFormat> formats_of(const Wishes& wishes) {
    return wishes.kv ? std::vector{*wishes.kv} : std::vector{KvFormat::f16, KvFormat::q8_0};
}

void explain(const ModelFacts& model, const MachineFacts& machine, const Wishes& wishes, Plan& plan) {
    const auto say = [&](auto&&... parts) { plan.why.push_back(concat(parts...)); };
    if (wishes.memory_bytes)
        say("memory: ", gibibytes(plan.budget_bytes), ", as --memory says");
    else
        say("memory: ", gibibytes(machine.usable_bytes), " by ", machine.limited_by, ", of which ",
            gibibytes(machine.usable_bytes - plan.budget_bytes), " are left for everything else");
    if (!plan.fits) {
        const bool host = plan.total_bytes > plan.budget_bytes;
        say("it does not fit: ", gibibytes(host ? plan.total_bytes : plan.gpu_bytes), " are needed, ",
            gibibytes(host ? plan.budget_bytes : plan.gpu_budget_bytes), host ? " may be used" : " are the GPU's");
    }
    if (!wishes.kv && plan.kv == KvFormat::q8_0)
        say("keys and values in q8_0: in f16 a context of ", wishes.context, " tokens does not fit; what that changes is in docs/performance.md");
    std::string compared;
    for (const Plan::Option& o : plan.options) {
        compared += compared.empty() ? "" : "; ";
        compared += describe(o.placement, model.layer_count()) + (o.fits ? "" : ", which does not fit");
        if (o.seconds > 0) compared += concat(": ", fixed(o.expected.prefill, 1), " and ", fixed(o.expected.decode, 1), " tokens/s");
        else compared += ": not measured";
    }
    if (plan.options.size() > 1)
        say("placement: the shortest time for a prompt of ", wishes.prompt, " and a reply of ", wishes.reply, " tokens, of: ", compared);
    say("rates: ", machine.rates_from);
}

}  // namespace

std::string gibibytes(uint64_t bytes) {
    const double mebibytes = static_cast<double>(bytes) / (1 << 20);
    return mebibytes < 100 ? fixed(mebibytes, 1) + " MiB" : fixed(mebibytes / 1024, 2) + " GiB";
}

const char* name(PlacementKind kind) {
    constexpr const char* kNames[] = {"cpu", "gpu", "layers", "rows", "phases"};
    return kNames[static_cast<size_t>(kind)];
}

const char* name(Where where) { return where == Where::cpu ? "cpu" : where == Where::gpu ? "gpu" : "shared"; }

std::string describe(const PlannedPlacement& p, int32_t layers) {
    switch (p.kind) {
        case PlacementKind::cpu: return "all on the CPU";
        case PlacementKind::gpu: return "all on the GPU";
        case PlacementKind::layers:
            return concat("layers 0-", layers - p.gpu_layers - 1, " on the CPU, ", layers - p.gpu_layers, "-", layers - 1, " on the GPU");
        case PlacementKind::rows: {
            const std::string few = p.few_share ? concat(" for prompts and ", fixed(100 * *p.few_share, 0), " % for replies") : "";
            return concat(fixed(100 * p.gpu_share, 0), " % of the rows on the GPU", few, ", the others on the CPU");
        }
        case PlacementKind::phases: return "prompts on the GPU, replies on the CPU";
    }
    return "";
}

uint64_t floor_of(const MachineFacts& machine) {
    return std::clamp<uint64_t>(machine.total_bytes / 20, uint64_t{256} << 20, uint64_t{1} << 30);
}

uint64_t budget_of(const MachineFacts& machine, const Wishes& wishes) {
    return wishes.memory_bytes ? *wishes.memory_bytes : excess(machine.usable_bytes, floor_of(machine));
}

bool fits(const Footprint& footprint, const MachineFacts& machine, const Wishes& wishes) {
    return footprint.host_bytes <= budget_of(machine, wishes) && (!machine.gpu || footprint.gpu_bytes <= machine.gpu->heap_bytes);
}

bool any_fits(const ModelFacts& model, const MachineFacts& machine, const Wishes& wishes) {
    for (const KvFormat kv : formats_of(wishes))
        for (const PlacementKind kind : wishes.kinds)
            for (const PlannedPlacement& p : placements_of(kind, model, machine, kv, wishes))
                if (fits(footprint(model, machine, p, kv, wishes), machine, wishes)) return true;
    return false;
}

Plan make_plan(const ModelFacts& model, const MachineFacts& machine, const Wishes& wishes) {
    std::vector<Choice> all;
    const Choice* best = nullptr;
    Plan plan;
    for (const KvFormat kv : formats_of(wishes)) {
        std::vector<Choice> found = choices(model, machine, kv, wishes);
        const auto first = std::min_element(found.begin(), found.end(), [](const Choice& a, const Choice& b) { return a.better_than(b); });
        if (first == found.end()) break;  // no kind that this machine has
        if (best && first->lacks > 0) break;  // the first format stays
        const auto at = first - found.begin();
        all = std::move(found);
        best = &all[static_cast<size_t>(at)];
        plan.kv = kv;
        if (best->lacks == 0) break;
    }
    plan.context = wishes.context;
    plan.budget_bytes = budget_of(machine, wishes);
    if (machine.gpu) plan.gpu_budget_bytes = machine.gpu->heap_bytes;
    if (!best) {
        plan.why.push_back(machine.gpu ? concat("what was asked for is not possible: phases need one memory for both devices, and ",
                                                machine.gpu->name, machine.gpu->unified ? " shares the CPU's" : " has its own",
                                                "; layers need two of them")
                                       : "this machine has no GPU, which is what was asked for");
        return plan;
    }
    plan.fits = best->lacks == 0;
    plan.placement = best->placement;
    plan.regions = best->footprint.regions;
    plan.total_bytes = best->footprint.host_bytes;
    plan.gpu_bytes = best->footprint.gpu_bytes;
    plan.expected = speed_of(model, machine, plan.placement, plan.kv, wishes);
    const double deep = decode_seconds(model, machine, plan.placement, plan.kv, wishes.context);
    plan.full_decode = deep > 0 ? 1 / deep : 0;
    for (const Choice& c : all)
        plan.options.push_back({c.placement, c.lacks == 0, speed_of(model, machine, c.placement, plan.kv, wishes), c.seconds});
    explain(model, machine, wishes, plan);
    if (!plan.fits) plan.remedies = remedies_for(model, machine, plan, wishes);
    return plan;
}

}  // namespace lapidary::runtime
