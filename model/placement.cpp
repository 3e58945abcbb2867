// Which devices an engine computes on: what options and environment ask for, what the planner makes of it, and the devices
// themselves, made as the plan says.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/engine_state.h"
#include "model/environment.h"
#include "model/rates.h"
#include "runtime/cpu/power.h"
#include "runtime/cpu/topology.h"
#include "runtime/split_device.h"
#include "runtime/vulkan/make_vulkan_device.h"

namespace lapidary {

using model::DevicePart;
using model::LoadedModel;
using runtime::PlacementKind;

namespace {

// automatic where the variable says nothing.
Result<Placement> placement_of_environment() {
    const std::string text = environment("LAPIDARY_PLACEMENT");
    if (text.empty() || text == "auto") return Placement::automatic;
    if (text == "cpu") return Placement::cpu;
    if (text == "gpu") return Placement::gpu;
    if (text == "split") return Placement::split;
    if (text == "phases") return Placement::phases;
    return Error{Errc::invalid_argument, concat("LAPIDARY_PLACEMENT is ", in_quotes(text), ", not auto, cpu, gpu, split or phases"),
                 "unset it: the placement is then planned"};
}

Result<void> check_shares(const EngineOptions& o) {
    if (o.gpu_layers && o.gpu_share)
        return Error{Errc::invalid_argument, "both layers and a share of rows are asked for on the GPU",
                     "set one of EngineOptions::gpu_layers and EngineOptions::gpu_share"};
    if (o.gpu_share && !(*o.gpu_share >= 0 && *o.gpu_share <= 1))
        return Error{Errc::invalid_argument, concat("a share of ", *o.gpu_share, " of the rows is asked for on the GPU"),
                     "set EngineOptions::gpu_share to a number from 0 to 1"};
    const bool shared = o.gpu_layers.value_or(0) > 0 || o.gpu_share.value_or(0) > 0;
    if (shared && o.placement != Placement::automatic && o.placement != Placement::split)
        return Error{Errc::invalid_argument,
                     concat(o.gpu_layers ? "layers" : "rows", " for the GPU are named, and all of them asked for on the ",
                            o.placement == Placement::cpu ? "CPU" : "GPU"),
                     "set EngineOptions::placement to split"};
    return {};
}

// What the driver lends: of unified memory all heaps together, else the device's own.
uint64_t heap_bytes(const runtime::GpuFacts& gpu) {
    uint64_t all = 0, own = 0;
    for (const runtime::GpuHeap& h : gpu.heaps) {
        const uint64_t bytes = h.budget_bytes > 0 ? h.budget_bytes : h.bytes;
        all += bytes;
        if (h.device_local) own = std::max(own, bytes);
    }
    return gpu.unified ? all : own;
}

// Of a driver and compiled shaders, and what blocks of weights leave unused.
constexpr uint64_t kDriverBytes = uint64_t{224} << 20, kSoftwareBytes = uint64_t{96} << 20;  // the latter takes pages as they are used

}  // namespace

std::filesystem::path cache_folder(const EngineOptions& options) {
    if (options.cache_folder == "none") return {};
    if (!options.cache_folder.empty()) return options.cache_folder;
    if (const std::filesystem::path cache = environment("XDG_CACHE_HOME"); cache.is_absolute()) return cache / "lapidary";
    const std::filesystem::path home = environment("HOME");
    return home.is_absolute() ? home / ".cache" / "lapidary" : std::filesystem::path();
}

Result<AskedPlacement> asked_placement(const EngineOptions& options) {
    LAP_TRY(check_shares(options));
    AskedPlacement asked{options.placement, options.device, options.gpu_layers, options.gpu_share};
    if (asked.placement == Placement::automatic && (asked.gpu_layers || asked.gpu_share)) asked.placement = Placement::split;
    if (asked.placement == Placement::automatic && !options.device.empty()) asked.placement = Placement::gpu;
    if (asked.placement == Placement::automatic) {
        LAP_ASSIGN(asked.placement, placement_of_environment());
    }
    const bool none = asked.gpu_layers == 0u || asked.gpu_share == 0.0;
    asked.gpu_layers = none ? std::nullopt : asked.gpu_layers;
    asked.gpu_share = none ? std::nullopt : asked.gpu_share;
    if (none && asked.placement == Placement::split) asked = {Placement::cpu, options.device};
    if (asked.gpu_share == 1.0) asked = {Placement::gpu, options.device};
    if (asked.needs_gpu()) {
        if (asked.device.empty()) asked.device = environment("LAPIDARY_DEVICE");
        return asked;
    }
    if (asked.placement == Placement::cpu && !options.device.empty())
        return Error{Errc::invalid_argument,
                     concat("the GPU ", in_quotes(options.device), " is named, and the CPU asked for"),
                     "set EngineOptions::placement to gpu, or leave EngineOptions::device out"};
    return asked;
}

Result<runtime::MachineFacts> this_machine(const EngineOptions& options) {
    LAP_ASSIGN(const AskedPlacement asked, asked_placement(options));
    const Room room = room_of(options, false);
    runtime::MachineFacts facts;
    facts.name = runtime::cpu_name();
    facts.total_bytes = room.total;
    facts.usable_bytes = room.left;
    facts.limited_by = room.limited_by;
    EngineOptions chosen = options;
    if (asked.placement == Placement::automatic) {  // a GPU is thought of once it was measured
        const std::string gpu = runtime::measured_gpu(cache_folder(options), facts.name);
        if (!gpu.empty() && runtime::find_gpu(gpu)) {
            chosen.placement = Placement::gpu;
            chosen.device = gpu;
        }
    }
    LAP_ASSIGN(const AskedPlacement wanted, asked_placement(chosen));
    if (wanted.needs_gpu()) {
        LAP_ASSIGN(const runtime::GpuFacts gpu, runtime::find_gpu(wanted.device));
        facts.gpu = runtime::PlanGpu{.name = gpu.name, .unified = gpu.unified, .heap_bytes = heap_bytes(gpu),
                                     .driver_bytes = gpu.software ? kSoftwareBytes : kDriverBytes, .rates = {}};
    }
    LAP_ASSIGN(const model::RatesPlace place, model::rates_place(chosen));
    const runtime::FoundRates found = runtime::read_rates(place.file, place.key);
    if (found.rates) {
        facts.cpu = found.rates->cpu;
        if (facts.gpu && found.rates->gpu) facts.gpu->rates = *found.rates->gpu;
        facts.handover_s = found.rates->handover_s;
        facts.meeting_s = found.rates->meeting_s;
        facts.rates_from = concat("measured ", found.rates->time, " (", found.power, ")");
        facts.power = found.power;
    } else if (found.problem.empty()) {
        facts.rates_from = "not measured on this machine: lapidary tune does that";
    }
    if (!found.problem.empty()) facts.rates_from += (facts.rates_from.empty() ? "" : "; ") + found.problem;
    return facts;
}

Result<model::RatesPlace> model::rates_place(const EngineOptions& options) {
    LAP_ASSIGN(const AskedPlacement asked, asked_placement(options));
    LAP_ASSIGN(const runtime::PhaseThreads threads, phase_threads(options));
    LAP_ASSIGN(const kernels::KernelTable* level, kernel_table(options.research.cpu_level));
    RatesPlace place;
    place.key = {.version = std::string(version()), .cpu = runtime::cpu_name(), .isa = level->isa,
                 .threads = std::max(threads.prefill, threads.decode), .gpu = {}, .driver = {},
                 .power = runtime::name(runtime::power_state(options.research.system_root))};
    if (asked.needs_gpu()) {
        LAP_ASSIGN(const runtime::GpuFacts gpu, runtime::find_gpu(asked.device));
        place.key.gpu = gpu.name;
        place.key.driver = gpu.driver;
    }
    if (const std::filesystem::path folder = cache_folder(options); !folder.empty()) place.file = folder / runtime::rates_file_name(place.key);
    return place;
}

runtime::Wishes wishes_of(const EngineOptions& options, const AskedPlacement& asked, int32_t layers, uint32_t context) {
    runtime::Wishes wishes;
    switch (asked.placement) {
        case Placement::cpu: wishes.kinds = {PlacementKind::cpu}; break;
        case Placement::gpu: wishes.kinds = {PlacementKind::gpu}; break;
        case Placement::split: wishes.kinds = {PlacementKind::layers, PlacementKind::rows}; break;
        case Placement::phases: wishes.kinds = {PlacementKind::phases}; break;
        case Placement::automatic:
            wishes.kinds = {PlacementKind::cpu, PlacementKind::gpu, PlacementKind::layers, PlacementKind::rows, PlacementKind::phases};
    }
    if (asked.gpu_layers) {
        wishes.gpu_layers = static_cast<int32_t>(std::min<uint32_t>(*asked.gpu_layers, static_cast<uint32_t>(layers)));
        wishes.kinds = {*wishes.gpu_layers == layers ? PlacementKind::gpu : PlacementKind::layers};
    }
    if (asked.gpu_share) {
        wishes.gpu_share = asked.gpu_share;
        wishes.kinds = {PlacementKind::rows};
    }
    wishes.context = static_cast<int32_t>(context);
    if (options.precise)
        wishes.kv = runtime::KvFormat::f32;
    else if (options.kv)
        wishes.kv = *options.kv == KvFormat::f32 ? runtime::KvFormat::f32
                    : *options.kv == KvFormat::f16 ? runtime::KvFormat::f16 : runtime::KvFormat::q8_0;
    wishes.checkpoints = options.conversations;
    wishes.sessions = static_cast<int32_t>(options.sessions);
    wishes.memory_bytes = options.memory_bytes;
    return wishes;
}

Result<runtime::ModelFacts> facts_of(const EngineOptions& options, const LoadedModel& loaded, uint32_t context) {
    LAP_ASSIGN(const runtime::PhaseThreads threads, phase_threads(options));
    return model::plan_facts(loaded.config, loaded.weights,
                             {static_cast<int32_t>(std::min(options.research.prefill_chunk, context)), static_cast<int32_t>(context),
                              std::max(threads.prefill, threads.decode), options.precise});
}

Result<runtime::Plan> plan_for(const EngineOptions& options, const LoadedModel& loaded, uint32_t context,
                               const runtime::MachineFacts& machine, const runtime::PlannedPlacement* only) {
    LAP_ASSIGN(const AskedPlacement asked, asked_placement(options));
    LAP_ASSIGN(const runtime::ModelFacts facts, facts_of(options, loaded, context));
    const auto layers = static_cast<int32_t>(loaded.config.layers.size());
    runtime::Wishes wishes = wishes_of(options, asked, layers, context);
    const auto odd = [](const auto& l) { return l.head_dim % 32 != 0; };  // no blocks of q8_0
    wishes.kv_fixed = options.precise || std::any_of(loaded.config.layers.begin(), loaded.config.layers.end(), odd);
    if (!wishes.kv && wishes.kv_fixed) wishes.kv = runtime::KvFormat::f16;
    if (only) {
        wishes.kinds = {only->kind};
        if (only->kind == PlacementKind::layers) wishes.gpu_layers = only->gpu_layers;
        if (only->kind == PlacementKind::rows) wishes.gpu_share = only->gpu_share, wishes.few_share = only->few_share;
    }
    return runtime::make_plan(facts, machine, wishes);
}

Plan public_plan(const runtime::Plan& plan, const LoadedModel& loaded, const std::string& type, const std::string& machine) {
    const auto layers = static_cast<int32_t>(loaded.config.layers.size());
    const auto option = [&](const runtime::PlannedPlacement& p, bool fits, const runtime::Speed& speed) {
        const bool rows = p.kind == PlacementKind::rows;
        return PlanOption{runtime::name(p.kind), runtime::describe(p, layers), fits, speed.prefill, speed.decode,
                          rows ? p.gpu_share : 0, rows ? p.share(1) : 0};
    };
    Plan out{.model = loaded.config.name,
             .type = type,
             .machine = machine,
             .fits = plan.fits,
             .budget_bytes = plan.budget_bytes,
             .total_bytes = plan.total_bytes,
             .gpu_budget_bytes = plan.gpu_budget_bytes,
             .gpu_bytes = plan.gpu_bytes,
             .context = static_cast<uint32_t>(plan.context),
             .kv = kernels::name(plan.kv),
             .placement = option(plan.placement, plan.fits, plan.expected),
             .full_decode_tps = plan.full_decode,
             .options = {},
             .regions = {},
             .layers = {},
             .why = plan.why,
             .remedies = {}};
    for (const auto& o : plan.options) out.options.push_back(option(o.placement, o.fits, o.expected));
    for (const auto& r : plan.regions) out.regions.push_back({r.name, runtime::name(r.where), r.bytes, r.note});
    for (const auto& r : plan.remedies) out.remedies.push_back({r.text, r.saves, r.enough});
    const int32_t on_cpu = layers - plan.placement.gpu_layers;
    if (on_cpu > 0) out.layers.push_back({0, on_cpu - 1, false});
    if (on_cpu < layers) out.layers.push_back({on_cpu, layers - 1, true});
    return out;
}

Error refusal(const Plan& plan) {
    using runtime::gibibytes;
    const bool host = plan.total_bytes > plan.budget_bytes;
    std::string what = concat(plan.model, " needs ", gibibytes(host ? plan.total_bytes : plan.gpu_bytes),
                              host ? "" : " of the GPU's memory", ", and ",
                              gibibytes(host ? plan.budget_bytes : plan.gpu_budget_bytes), " may be used: ");
    std::vector<PlanRegion> regions = plan.regions;
    std::stable_sort(regions.begin(), regions.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    for (size_t i = 0; i < regions.size() && i < 3; ++i)
        what += concat(i > 0 ? ", " : "", regions[i].name, " ", gibibytes(regions[i].bytes));
    std::string hint;
    for (const PlanRemedy& r : plan.remedies)
        hint += concat(hint.empty() ? "" : "; or ", r.text, " (", gibibytes(r.saves_bytes), r.enough ? ")" : ", not enough alone)");
    return {Errc::does_not_fit, std::move(what), hint.empty() ? "use a smaller model" : std::move(hint)};
}

Result<std::vector<DevicePart>> planned_parts(const runtime::PlannedPlacement& placement, const EngineOptions& options,
                                              const LoadedModel& loaded, Attempt attempt) {
    const PlacementKind kind = placement.kind;
    if (kind == PlacementKind::cpu) return cpu_part(options, loaded);
    LAP_ASSIGN(std::vector<DevicePart> parts, gpu_part(options, loaded, attempt, kind == PlacementKind::phases || placement.few_share));
    if (kind == PlacementKind::gpu) return parts;
    LAP_ASSIGN(std::vector<DevicePart> cpu, cpu_part(options, loaded, attempt));
    if (kind == PlacementKind::rows) {
        parts[0].device = std::make_unique<runtime::SplitDevice>(std::move(parts[0].device), std::move(cpu[0].device),
                                                                 [placement](int64_t rows, int64_t, int64_t columns) {
            const double panels = placement.share(columns) * static_cast<double>(rows) / kernels::kPanel;
            return std::clamp<int64_t>(std::llround(panels) * kernels::kPanel, 0, rows);
        });
        return parts;
    }
    if (kind == PlacementKind::phases) {
        parts[0].few = std::make_unique<DevicePart>(std::move(cpu[0]));
        return parts;
    }
    cpu[0].last = parts[0].first = cpu[0].last - placement.gpu_layers;
    parts.insert(parts.begin(), std::move(cpu[0]));
    return parts;
}

}  // namespace lapidary
