// The search among placements, and the sentences that explain it; see plan.h.
#include "runtime/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/describe.h"

namespace lapidary::runtime {
namespace {

constexpr int kShares = 32;  // of rows, that are looked at besides the balanced ones

int32_t layers_of(const ModelFacts& model) { return static_cast<int32_t>(model.layers.size()); }

std::string fixed(double value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

// Every placement of a kind that is worth a look. Time is a maximum of straight lines in the share of rows, so its least
// value lies where two of them meet: where both devices end together, in reading or in multiplying, or where memory ends.
std::vector<PlannedPlacement> placements_of(PlacementKind kind, const ModelFacts& model, const MachineFacts& machine,
                                            const Wishes& wishes) {
    const int32_t layers = layers_of(model);
    if (kind == PlacementKind::cpu) return {{kind, 0, 0}};
    if (!machine.gpu) return {};
    if (kind == PlacementKind::gpu || kind == PlacementKind::phases) return {{kind, layers, 1}};
    std::vector<PlannedPlacement> out;
    if (kind == PlacementKind::layers) {
        if (wishes.gpu_layers) return {{kind, std::clamp(*wishes.gpu_layers, 1, layers - 1), 0}};
        for (int32_t n = layers - 1; n >= 1; --n) out.push_back({kind, n, 0});
        return out;
    }
    if (wishes.gpu_share) return {{kind, layers, *wishes.gpu_share}};
    const Rates &g = machine.gpu->rates, &c = machine.cpu;
    for (const auto& [of_gpu, of_cpu] : {std::pair(g.read_gbps_together, c.read_gbps_together), std::pair(g.read_gbps, c.read_gbps),
                                         std::pair(g.many_gmacs_together, c.many_gmacs_together), std::pair(g.many_gmacs, c.many_gmacs)})
        if (of_gpu > 0 && of_cpu > 0) out.push_back({kind, layers, of_gpu / (of_gpu + of_cpu)});
    if (out.empty()) out.push_back({kind, layers, 0.5});  // nothing is known
    for (int i = 1; i < kShares; ++i) out.push_back({kind, layers, static_cast<double>(i) / kShares});
    return out;
}

struct Choice {
    PlannedPlacement placement;
    Footprint footprint;
    bool fits = false;
    double seconds = 0;  // of the request; 0: not known

    // Whether this one is to be preferred. What fits goes first, then what is known to be fast, then what is known.
    bool better_than(const Choice& other) const {
        if (fits != other.fits) return fits;
        if (!fits) return footprint.host_bytes < other.footprint.host_bytes;
        if ((seconds > 0) != (other.seconds > 0)) return seconds > 0;
        return seconds < other.seconds;
    }
};

double request_seconds(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                       const Wishes& wishes) {
    const double prefill = prefill_seconds(model, machine, placement, kv, wishes.prompt);
    return prefill == 0 ? 0 : prefill + wishes.reply * decode_seconds(model, machine, placement, kv, wishes.prompt + wishes.reply / 2);
}

// The best placement of each allowed kind, in the order of the wishes.
std::vector<Choice> choices(const ModelFacts& model, const MachineFacts& machine, KvFormat kv, const Wishes& wishes) {
    std::vector<Choice> out;
    for (const PlacementKind kind : wishes.kinds) {
        std::optional<Choice> best;
        for (const PlannedPlacement& p : placements_of(kind, model, machine, wishes)) {
            Choice c{p, footprint(model, machine, p, kv, wishes), false, request_seconds(model, machine, p, kv, wishes)};
            c.fits = fits(c.footprint, machine, wishes);
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

// What would make it fit, cheapest first: nothing of a remedy is undone by another one.
std::vector<Remedy> remedies_for(const ModelFacts& model, const MachineFacts& machine, const Plan& plan, const Wishes& wishes) {
    std::vector<Remedy> out;
    const auto try_one = [&](std::string text, KvFormat kv, Wishes changed, const ModelFacts& changed_model) {
        const Footprint now = footprint(model, machine, plan.placement, plan.kv, wishes);
        const Footprint then = footprint(changed_model, machine, plan.placement, kv, changed);
        if (then.host_bytes >= now.host_bytes) return;
        out.push_back({std::move(text), now.host_bytes - then.host_bytes, fits(then, machine, wishes)});
    };
    const auto shorter = [&](KvFormat kv, const char* with) {
        Wishes changed = wishes;
        const auto room = [&] { return fits(footprint(model, machine, plan.placement, kv, changed), machine, wishes); };
        for (changed.context = wishes.context / 2; changed.context > 1024 && !room();) changed.context /= 2;
        if (changed.context >= 256 && changed.context < wishes.context)
            try_one(concat("a shorter context: --ctx ", changed.context, with), kv, changed, model);
    };
    if (plan.kv != KvFormat::q8_0) try_one("an 8-bit cache: --kv q8_0", KvFormat::q8_0, wishes, model);
    shorter(plan.kv, "");
    if (wishes.sessions > 1) {
        Wishes one = wishes;
        one.sessions = 1;
        try_one("one session instead of " + std::to_string(wishes.sessions), plan.kv, one, model);
    }
    ModelFacts small = model;  // 4.5 bits a weight
    for (LayerFacts& l : small.layers) l.weight_bytes = std::min(l.weight_bytes, static_cast<uint64_t>(l.macs * 0.5625));
    small.embedding_bytes = std::min(small.embedding_bytes, static_cast<uint64_t>(small.head_macs * 0.5625));
    try_one("a file of 4 bits a weight: lapidary pack --type q4_0", plan.kv, wishes, small);
    const auto enough = [](const Remedy& r) { return r.enough; };
    if (std::none_of(out.begin(), out.end(), enough) && plan.kv != KvFormat::q8_0) shorter(KvFormat::q8_0, " --kv q8_0");
    const uint64_t lacks = plan.total_bytes > plan.budget_bytes ? plan.total_bytes - plan.budget_bytes : 0;
    if (lacks > 0)
        out.push_back({concat(wishes.memory_bytes ? "a larger --memory" : "closing other programs", ": ", gibibytes(lacks), " more"),
                       lacks, machine.total_bytes >= plan.total_bytes});
    std::stable_partition(out.begin(), out.end(), enough);
    if (out.size() > 3) out.resize(3);
    return out;
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
        compared += describe(o.placement, layers_of(model)) + (o.fits ? "" : ", which does not fit");
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
        case PlacementKind::rows: return concat(fixed(100 * p.gpu_share, 0), " % of the rows on the GPU, the others on the CPU");
        case PlacementKind::phases: return "prompts on the GPU, replies on the CPU";
    }
    return "";
}

uint64_t budget_of(const MachineFacts& machine, const Wishes& wishes) {
    if (wishes.memory_bytes) return *wishes.memory_bytes;
    const uint64_t floor = std::clamp<uint64_t>(machine.total_bytes / 20, uint64_t{256} << 20, uint64_t{1} << 30);
    return machine.usable_bytes > floor ? machine.usable_bytes - floor : 0;
}

bool fits(const Footprint& footprint, const MachineFacts& machine, const Wishes& wishes) {
    return footprint.host_bytes <= budget_of(machine, wishes) && (!machine.gpu || footprint.gpu_bytes <= machine.gpu->heap_bytes);
}

Plan make_plan(const ModelFacts& model, const MachineFacts& machine, const Wishes& wishes) {
    const std::vector<KvFormat> formats = wishes.kv ? std::vector{*wishes.kv} : std::vector{KvFormat::f16, KvFormat::q8_0};
    std::vector<Choice> all;
    const Choice* best = nullptr;
    Plan plan;
    for (const KvFormat kv : formats) {
        std::vector<Choice> found = choices(model, machine, kv, wishes);
        const auto first = std::min_element(found.begin(), found.end(), [](const Choice& a, const Choice& b) { return a.better_than(b); });
        if (first == found.end()) break;  // no kind that this machine has
        if (best && !first->fits) break;  // the first format stays
        const auto at = first - found.begin();
        all = std::move(found);
        best = &all[static_cast<size_t>(at)];
        plan.kv = kv;
        if (best->fits) break;
    }
    plan.context = wishes.context;
    plan.budget_bytes = budget_of(machine, wishes);
    if (machine.gpu) plan.gpu_budget_bytes = machine.gpu->heap_bytes;
    if (!best) {
        plan.why.push_back("this machine has no GPU, which is what was asked for");
        return plan;
    }
    plan.fits = best->fits;
    plan.placement = best->placement;
    plan.regions = best->footprint.regions;
    plan.total_bytes = best->footprint.host_bytes;
    plan.gpu_bytes = best->footprint.gpu_bytes;
    plan.expected = speed_of(model, machine, plan.placement, plan.kv, wishes);
    for (const Choice& c : all)
        plan.options.push_back({c.placement, c.fits, speed_of(model, machine, c.placement, plan.kv, wishes), c.seconds});
    explain(model, machine, wishes, plan);
    if (!plan.fits) plan.remedies = remedies_for(model, machine, plan, wishes);
    return plan;
}

}  // namespace lapidary::runtime
