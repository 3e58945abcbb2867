// What a placement takes and how long its steps last; see plan.h. The model of time: a step's products last as long as reading
// their weights or multiplying, whichever is more, and its attention likewise, windows and whole contexts each for themselves
// (the ceilings of a roofline, with rates that were reached instead of peaks).
#include <algorithm>
#include <cmath>

#include "runtime/plan/plan.h"

namespace lapidary::runtime {
namespace {

constexpr double kProducts = 4;  // of a layer: q k v, o, gate and up, down

struct Attention {
    double bytes = 0, macs = 0;
};

struct Work {  // of a step
    int64_t columns = 1;
    KvFormat kv = KvFormat::f16;
    double weight_bytes = 0, macs = 0;     // of products; macs of all columns
    Attention windows = {}, contexts = {};  // of layers that see a window, and of those that see all
};

// What one device reads and multiplies per second, 1e9.
struct Pace {
    double read, few, many, attention, token_f16, token_q8;
    double products(const Work& w) const {
        const auto c = static_cast<double>(w.columns), most = static_cast<double>(kFewColumns);
        // More than few columns take no less than those.
        const double multiplying = w.columns > kFewColumns ? std::max(w.macs / many, w.macs / c * most / few) : w.macs / few;
        return std::max(w.weight_bytes / read, multiplying) * 1e-9;
    }
    double attends(const Work& w) const {
        const double rate = w.columns > 1 ? attention : w.kv == KvFormat::q8_0 ? token_q8 : token_f16;
        const auto seconds = [&](const Attention& a) { return std::max(a.bytes / read, a.macs / rate) * 1e-9; };
        return seconds(w.windows) + seconds(w.contexts);
    }
    double all(const Work& w) const { return products(w) + attends(w); }
};

// A rate that was not measured is the one beside it.
Pace pace_of(const Rates& r, bool together) {
    const auto known = [](double rate, double beside) { return rate > 0 ? rate : beside; };
    const double many = known(together ? r.many_gmacs_together : 0, r.many_gmacs);
    const double attention = known(r.attention_gmacs, many), token = known(r.token_f16_gmacs, attention);
    return {known(together ? r.read_gbps_together : 0, r.read_gbps), known(r.few_gmacs, many), many, attention, token,
            known(r.token_q8_gmacs, token)};
}

// Of layers [first, last) in a step of `columns` tokens behind `position` others.
Work work_of(const ModelFacts& model, int32_t first, int32_t last, KvFormat kv, int64_t columns, int64_t position) {
    Work w{columns, kv};
    for (int32_t i = first; i < last; ++i) {
        const LayerFacts& l = model.layers[static_cast<size_t>(i)];
        const double middle = static_cast<double>(position) + static_cast<double>(columns + 1) / 2;  // keys of the middle token
        const double end = static_cast<double>(position + columns);
        const double window = model.window;
        const double keys = l.ring ? std::min(middle, window) : middle;
        w.weight_bytes += static_cast<double>(l.weight_bytes);
        w.macs += l.macs * static_cast<double>(columns);
        Attention& attention = l.ring ? w.windows : w.contexts;
        attention.bytes += (l.ring ? std::min(end, window + static_cast<double>(columns)) : end) *
                           static_cast<double>(l.position_bytes[static_cast<size_t>(kv)]);
        attention.macs += l.key_macs * keys * static_cast<double>(columns);
    }
    return w;
}

Work head_of(const ModelFacts& model) {
    return {.weight_bytes = static_cast<double>(model.embedding_bytes), .macs = model.head_macs};
}

// Of a product whose rows both devices share.
double shared_products(const Work& w, double share, const Pace& gpu, const Pace& cpu) {
    Work on_gpu = w, on_cpu = w;
    on_gpu.weight_bytes *= share, on_gpu.macs *= share;
    on_cpu.weight_bytes *= 1 - share, on_cpu.macs *= 1 - share;
    return std::max(gpu.products(on_gpu), cpu.products(on_cpu));
}

// Both at each product; the GPU alone where it has all rows.
double rows_step(const ModelFacts& model, const MachineFacts& machine, double share, KvFormat kv, int64_t columns, int64_t position) {
    const bool both = share > 0 && share < 1, met = machine.gpu->unified && machine.meeting_s > 0;
    const Pace gpu = pace_of(machine.gpu->rates, both), cpu = pace_of(machine.cpu, both);
    const Work w = work_of(model, 0, model.layer_count(), kv, columns, position);
    const double meetings = kProducts * model.layer_count() * (met ? machine.meeting_s : 2 * machine.handover_s);
    return shared_products(w, share, gpu, cpu) + pace_of(machine.gpu->rates, false).attends(w) +
           (share < 1 ? meetings : machine.handover_s);
}

bool rates_known(const MachineFacts& machine, PlacementKind kind) {
    const bool cpu = kind == PlacementKind::gpu || machine.cpu.known();
    const bool gpu = kind == PlacementKind::cpu || (machine.gpu && machine.gpu->rates.known());
    return cpu && gpu;
}

}  // namespace

uint64_t ModelFacts::weight_bytes() const {
    uint64_t bytes = embedding_bytes;
    for (const LayerFacts& l : layers) bytes += l.weight_bytes;
    return bytes;
}

int64_t ModelFacts::rows(const LayerFacts& layer, int32_t positions) const {
    const int64_t wanted = layer.ring ? int64_t{std::min(window, positions)} + ring_rows - window : positions;
    return (wanted + segment_rows - 1) / segment_rows * segment_rows;
}

std::optional<double> balanced_share(const ModelFacts& model, const MachineFacts& machine, int64_t columns) {
    if (!rates_known(machine, PlacementKind::rows)) return std::nullopt;
    const Work w = work_of(model, 0, model.layer_count(), KvFormat::f16, columns, 0);
    const double gpu = pace_of(machine.gpu->rates, true).products(w);
    const double cpu = pace_of(machine.cpu, true).products(w);
    return cpu / (cpu + gpu);
}

double prefill_seconds(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                       int64_t tokens, int64_t position) {
    if (tokens <= 0 || !rates_known(machine, placement.kind)) return 0;
    const int32_t layers = model.layer_count(), on_cpu = layers - placement.gpu_layers;
    const bool several = tokens > model.chunk;
    double cpu_free = 0, gpu_free = 0;  // when each device has done what it has
    for (int64_t done = 0; done < tokens; done += model.chunk) {
        const int64_t columns = std::min<int64_t>(model.chunk, tokens - done), at = position + done;
        const auto seconds = [&](const Rates& rates, int32_t first, int32_t last, bool together) {
            return pace_of(rates, together).all(work_of(model, first, last, kv, columns, at));
        };
        switch (placement.kind) {
            case PlacementKind::cpu: cpu_free += seconds(machine.cpu, 0, layers, false); break;
            case PlacementKind::gpu:
            case PlacementKind::phases: gpu_free += seconds(machine.gpu->rates, 0, layers, false) + machine.handover_s; break;
            case PlacementKind::layers:  // as if the CPU went on with the next chunk while the GPU has this one
                cpu_free += seconds(machine.cpu, 0, on_cpu, several && done > 0) + machine.handover_s;
                gpu_free = std::max(cpu_free, gpu_free) +
                           seconds(machine.gpu->rates, on_cpu, layers, several && done + columns < tokens);
                break;
            case PlacementKind::rows: gpu_free += rows_step(model, machine, placement.share(columns), kv, columns, at); break;
        }
    }
    const bool cpu_head = placement.kind == PlacementKind::cpu;
    return std::max(cpu_free, gpu_free) + pace_of(cpu_head ? machine.cpu : machine.gpu->rates, false).all(head_of(model)) +
           (cpu_head ? 0 : machine.handover_s);
}

double decode_seconds(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                      int64_t position) {
    if (!rates_known(machine, placement.kind)) return 0;
    const int32_t layers = model.layer_count(), on_cpu = layers - placement.gpu_layers;
    const auto seconds = [&](const Rates& rates, int32_t first, int32_t last, bool head) {
        const Pace pace = pace_of(rates, false);
        return pace.all(work_of(model, first, last, kv, 1, position)) + (head ? pace.all(head_of(model)) : 0);
    };
    switch (placement.kind) {
        case PlacementKind::cpu:
        case PlacementKind::phases: return seconds(machine.cpu, 0, layers, true);
        case PlacementKind::gpu: return seconds(machine.gpu->rates, 0, layers, true) + 2 * machine.handover_s;
        case PlacementKind::layers:
            return seconds(machine.cpu, 0, on_cpu, false) + seconds(machine.gpu->rates, on_cpu, layers, true) + 2 * machine.handover_s;
        case PlacementKind::rows:
            return rows_step(model, machine, placement.share(1), kv, 1, position) +
                   pace_of(machine.gpu->rates, false).all(head_of(model)) + 2 * machine.handover_s;
    }
    return 0;
}

Footprint footprint(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                    const Wishes& wishes) {
    const int32_t layers = model.layer_count();
    const PlacementKind kind = placement.kind;
    const Where device = kind == PlacementKind::cpu ? Where::cpu : kind == PlacementKind::phases ? Where::shared : Where::gpu;
    const int32_t on_cpu = kind == PlacementKind::layers ? layers - placement.gpu_layers : kind == PlacementKind::cpu ? layers : 0;
    constexpr const char* kNoPanels = "exact products on the CPU take no panels";
    Footprint out;
    const auto add = [&](std::string what, Where where, uint64_t bytes, std::string note = {}) {
        if (bytes == 0) return;
        const bool host = where == Where::cpu || !machine.gpu || machine.gpu->unified;
        if (host) out.host_bytes += bytes;
        if (where != Where::cpu) out.gpu_bytes += bytes;
        out.regions.push_back({std::move(what), where, bytes, std::move(note)});
    };
    const auto range = [](const char* what, int32_t first, int32_t last) {
        return std::string(what) + " " + std::to_string(first) + "-" + std::to_string(last - 1);
    };
    const auto weights = [&](int32_t first, int32_t last) {
        uint64_t bytes = 0;
        for (int32_t i = first; i < last; ++i) bytes += model.layers[static_cast<size_t>(i)].weight_bytes;
        return bytes;
    };
    const auto cache = [&](int32_t first, int32_t last, bool rings_alone = false) {
        uint64_t bytes = 0;
        for (int32_t i = first; i < last; ++i) {
            const LayerFacts& l = model.layers[static_cast<size_t>(i)];
            if (!rings_alone || l.ring) bytes += static_cast<uint64_t>(model.rows(l, wishes.context)) * l.position_bytes[static_cast<size_t>(kv)];
        }
        return bytes * static_cast<uint64_t>(wishes.sessions);
    };
    if (kind == PlacementKind::rows && placement.few_share) {
        add(range("weights", 0, layers), Where::shared, weights(0, layers));
        const double of_cpu = 1 - std::min(placement.gpu_share, *placement.few_share);
        if (model.exact) add("rows of the weights", Where::cpu, static_cast<uint64_t>(static_cast<double>(weights(0, layers)) * of_cpu), kNoPanels);
    } else if (kind == PlacementKind::rows) {
        const auto all = static_cast<double>(weights(0, layers));
        const auto rows = static_cast<uint64_t>(all * placement.gpu_share);
        add(range("weights", 0, layers) + ", first rows", Where::gpu, rows);
        add(range("weights", 0, layers) + ", other rows", Where::cpu, static_cast<uint64_t>(all) - rows);
    } else {
        if (on_cpu > 0) add(range("weights", 0, on_cpu), Where::cpu, weights(0, on_cpu));
        if (on_cpu < layers) add(range("weights", on_cpu, layers), device, weights(on_cpu, layers));
    }
    add("embedding and head", device, model.embedding_bytes);
    if (kind == PlacementKind::layers) add("embedding of the first part", Where::cpu, model.table_bytes);
    const Where first = on_cpu > 0 ? Where::cpu : device;
    if (wishes.media) add("projections of pictures and sound", first, model.media_bytes);
    const std::string rows = std::to_string(wishes.context) + " tokens, " + name(kv) +
                             (wishes.sessions > 1 ? ", " + std::to_string(wishes.sessions) + " sessions" : "");
    if (on_cpu > 0) add(on_cpu < layers ? range("KV cache", 0, on_cpu) : "KV cache", Where::cpu, cache(0, on_cpu), rows);
    if (on_cpu < layers) add(on_cpu > 0 ? range("KV cache", on_cpu, layers) : "KV cache", device, cache(on_cpu, layers), rows);
    if (wishes.checkpoints) {
        add(on_cpu > 0 && on_cpu < layers ? range("checkpoints", 0, on_cpu) : "checkpoints", Where::cpu, cache(0, on_cpu, true), "of where replies began");
        add(on_cpu > 0 ? range("checkpoints", on_cpu, layers) : "checkpoints", device, cache(on_cpu, layers, true), "of where replies began");
    }
    const uint64_t step = model.column_bytes * static_cast<uint64_t>(model.chunk) + model.step_bytes;
    const std::string chunk = std::to_string(model.chunk) + " tokens a step";
    const int64_t few = std::min<int64_t>(model.chunk, kFewColumns);
    if (kind == PlacementKind::phases) {
        add("step buffers", Where::cpu, model.column_bytes * static_cast<uint64_t>(few) + model.step_bytes, std::to_string(few) + " tokens a step");
        if (model.exact) add("rows of the weights", Where::cpu, model.weight_bytes(), kNoPanels);
    } else if (kind != PlacementKind::gpu) {
        add("step buffers", Where::cpu, step, chunk);
    }
    if (kind != PlacementKind::cpu) add("step buffers of the GPU", Where::gpu, step + model.gpu_step_bytes, chunk);
    if (kind != PlacementKind::cpu) add("driver and shaders", Where::gpu, machine.gpu ? machine.gpu->driver_bytes : 0, "estimated");
    add("program and tokenizer", Where::cpu, model.program_bytes);
    return out;
}

}  // namespace lapidary::runtime
