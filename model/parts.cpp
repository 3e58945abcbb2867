// The devices of an engine: made, given their weights, and made again when one of them is lost.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/select.h"
#include "model/engine_state.h"
#include "model/environment.h"
#include "model/load/place.h"
#include "runtime/cpu/make_cpu_device.h"
#include "runtime/cpu/topology.h"
#include "runtime/vulkan/make_vulkan_device.h"

namespace lapidary {

using model::LoadedModel;

namespace {

constexpr int kMaxThreads = 1024;
constexpr double kShortPiece = 0.02;  // seconds of work in a submit to a GPU that was lost: it may have been given up for slowness

// Of the embedding and the layers, each once.
std::vector<kernels::Format> panel_formats(const model::Weights& weights) {
    std::vector<kernels::Format> out;
    const auto add = [&](const runtime::TensorView& t) {
        if (t && kernels::has_panels(t.format) && std::find(out.begin(), out.end(), t.format) == out.end())
            out.push_back(t.format);
    };
    add(weights.embed);
    for (const model::LayerWeights& l : weights.layers)
        for (const runtime::TensorView* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}) add(*t);
    return out;
}

bool with_gpu(const std::vector<model::DevicePart>& parts) {
    return std::any_of(parts.begin(), parts.end(), [](const auto& part) { return !part.gpu.empty(); });
}

// The weights of every part to its device; `again`: their sources will be asked for them once more.
Result<void> place_parts(const LoadedModel& loaded, bool again, std::vector<model::DevicePart>& parts, const ProgressSink& progress) {
    const model::Weights& host = loaded.weights;
    const auto share = [&](size_t i) {
        const bool is_first = i == 0, is_last = i + 1 == parts.size();
        return model::Share{.first = parts[i].first,
                            .last = parts[i].last,
                            .embedding = is_first || is_last,
                            .embedding_stays = !is_last,
                            .head = is_last,
                            .shared = !is_first,
                            .again = again};
    };
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < parts.size(); ++i) total += model::bytes_to_move(host, share(i), *parts[i].device);
    for (size_t i = 0; i < parts.size(); ++i) {
        const uint64_t before = done;
        LAP_ASSIGN(parts[i].weights, model::place_weights(host, share(i), *parts[i].device, [&](uint64_t part) {
                       done = before + part;
                       return !progress || progress("load", done, total);
                   }));
        if (!parts[i].few) continue;
        model::Share same = share(i);
        same.again = true;  // what lies in the device's memory stays there
        LAP_ASSIGN(parts[i].few->weights, model::place_weights(parts[i].weights, same, *parts[i].few->device, {}));
    }
    return {};
}

}  // namespace

std::vector<PanelKernels> panel_kernels(const runtime::Device& device, const model::Weights& weights) {
    std::vector<PanelKernels> out;
    for (const kernels::Format f : panel_formats(weights)) {
        const runtime::TensorView matrix{nullptr, 0, f, kernels::kPanel, kernels::panel_k_multiple(f), 0};
        const runtime::KernelChoice choice = device.kernels_of(matrix, runtime::Use::matrix);
        if (choice.layout == runtime::Layout::panels) out.push_back({kernels::name(f), choice.few, choice.many});
    }
    return out;
}

Result<runtime::PhaseThreads> phase_threads(const EngineOptions& options) {
    LAP_ASSIGN(const int all, thread_count(options.threads));
    LAP_ASSIGN(const int prefill, thread_count(options.prefill_threads != 0 ? options.prefill_threads : all));
    LAP_ASSIGN(const int decode, thread_count(options.decode_threads != 0 ? options.decode_threads : all));
    return runtime::PhaseThreads{prefill, decode};
}

Result<const kernels::KernelTable*> kernel_table(const std::string& wanted) {
    std::string why;
    const auto* table = kernels::select(wanted.empty() ? environment("LAPIDARY_CPU") : wanted, &why);
    if (!table) return Error{Errc::invalid_argument, why, "unset LAPIDARY_CPU to use the best level"};
    return table;
}

Result<int> thread_count(int wanted) {
    if (wanted < 0 || wanted > kMaxThreads)
        return Error{Errc::invalid_argument, std::to_string(wanted) + " threads were asked for",
                     "use 1 to " + std::to_string(kMaxThreads) + ", or 0 for every core"};
    if (wanted > 0) return wanted;
    const std::string text = environment("LAPIDARY_THREADS");
    if (text.empty()) return runtime::default_threads();
    char* end = nullptr;
    const long n = std::strtol(text.c_str(), &end, 10);
    if (*end != 0 || n < 1 || n > kMaxThreads)
        return Error{Errc::invalid_argument,
                     "LAPIDARY_THREADS is '" + text + "', not a number from 1 to 1024",
                     "unset it to use every core"};
    return static_cast<int>(n);
}

Result<std::vector<model::DevicePart>> cpu_part(const EngineOptions& options, const LoadedModel& loaded, Attempt) {
    runtime::CpuSettings settings;
    LAP_ASSIGN(settings.level, kernel_table(options.research.cpu_level));
    LAP_ASSIGN(settings.threads, phase_threads(options));
    settings.precise = options.precise;
    settings.race = options.research.cpu_level.empty() && environment("LAPIDARY_CPU").empty();
    std::vector<model::DevicePart> parts(1);
    LAP_ASSIGN(parts[0].device, runtime::make_cpu_device(settings, panel_formats(loaded.weights)));
    parts[0].last = static_cast<int32_t>(loaded.config.layers.size());
    return parts;
}

Result<std::vector<model::DevicePart>> gpu_part(const EngineOptions& options, const LoadedModel& loaded, Attempt attempt,
                                                bool shared_weights) {
    const std::string device = options.device.empty() ? environment("LAPIDARY_DEVICE") : options.device;
    runtime::VulkanSettings settings{.device = device, .precise = options.precise, .cache_folder = cache_folder(options),
                                     .shared_weights = shared_weights};
    if (attempt == Attempt::after_loss) settings.piece_seconds = kShortPiece;
    LAP_ASSIGN(runtime::OpenedGpu gpu, runtime::make_vulkan_device(settings));
    std::vector<model::DevicePart> parts(1);
    parts[0].gpu = std::move(gpu.name);
    parts[0].device = std::move(gpu.device);
    parts[0].last = static_cast<int32_t>(loaded.config.layers.size());
    return parts;
}

Result<void> model::EngineState::place_media() {
    const std::lock_guard lock(media_lock);
    model::Weights& placed = parts.front().weights;
    const auto place = [&](bool wanted, bool& done, const auto& weights, const auto& how) -> Result<void> {
        if (!wanted || done) return {};
        const size_t before = placed.buffers.size();
        const Result<void> all = how(weights, device(), placed);
        done = all.has_value();
        if (!done) placed.buffers.resize(before);  // it will be tried again
        return all;
    };
    LAP_TRY(place(loaded.config.vision.has_value(), vision_placed, loaded.weights.vision, model::place_vision));
    return place(loaded.config.audio.has_value(), audio_placed, loaded.weights.audio, model::place_audio);
}

Result<void> model::EngineState::set_up(const PartsMaker& make, bool with_weights, const ProgressSink& progress,
                                        Attempt attempt) {
    const std::lock_guard joining(media_lock);  // no projector joins the sources meanwhile
    LAP_ASSIGN(std::vector<DevicePart> made, make(options, loaded, attempt));
    if (recorders) {
        std::set<std::string> names;
        for (DevicePart& whole : made)
            for (DevicePart* part = &whole; part; part = part->few.get()) {
                std::string name = part->gpu.empty() ? "CPU" : part->gpu;
                if (!names.insert(name).second) name += concat(" ", names.size());
                part->recorder = &recorders->of(name);
                part->device->observe(part->recorder);
            }
    }
    // A lost GPU gets its weights again, from files; what was made in memory would have to stand there twice.
    const bool again = may_move || (!loaded.files.empty() && with_gpu(made));
    if (with_weights) LAP_TRY(place_parts(loaded, again, made, progress));
    {
        const std::lock_guard lock(parts_lock);
        parts = std::move(made);
        ++generation;
    }
    vision_placed = audio_placed = false;
    if (placement.kind == runtime::PlacementKind::cpu || with_gpu(parts)) return {};
    placement = {};  // its GPU is not to be had
    may_move = false;
    LAP_ASSIGN(const runtime::Plan cpu, plan_again(true));
    publish(cpu);
    return {};
}

Result<void> model::EngineState::ready() {
    return parts.empty() ? set_up(cpu_part, true, {}) : Result<void>();
}

Result<void> model::EngineState::recover(const Error& lost) {
    const auto gpu = std::find_if(parts.begin(), parts.end(), [](const DevicePart& part) { return !part.gpu.empty(); });
    const auto has_files = [this] {
        const std::lock_guard lock(media_lock);
        return !loaded.files.empty();
    };
    if (gpu == parts.end() || !has_files()) return lost;  // nothing to go on with
    const std::string what = concat("the GPU (", in_quotes(gpu->gpu), ") was lost: ", lost.message, "; ");
    const bool first = !std::exchange(lost_before, true);
    {
        std::vector<DevicePart> dead;  // whose memory goes before the next device wants as much
        const std::lock_guard lock(parts_lock);
        dead.swap(parts);
        ++generation;
    }
    std::string failure;
    if (first) {
        const Result<void> again = set_up(make_parts, true, {}, Attempt::after_loss);
        if (again) {
            tell(what + "it is set up again, and what sessions had computed is computed anew");
            return {};
        }
        failure = concat("it could not be set up again: ", again.error().message, "; ");
    }
    tell(concat(what, failure, "going on on the CPU"));
    return ready();
}

void model::EngineState::tell(const std::string& note) const {
    if (options.note) options.note(note);
}

}  // namespace lapidary
