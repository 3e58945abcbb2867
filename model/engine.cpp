// Opening a model and describing it. Prompts are built in prompt.cpp, sessions live in session.cpp.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <new>

#include "base/try.h"
#include "kernels/select.h"
#include "model/engine_state.h"
#include "model/load/place.h"
#include "model/load/projector.h"
#include "runtime/cpu/make_cpu_device.h"
#include "runtime/cpu/topology.h"

namespace lapidary {

using model::LoadedModel;

namespace {

constexpr uint32_t kDefaultContext = 8192;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

constexpr int kMaxThreads = 1024;

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

Result<uint32_t> context_of(const EngineOptions& options, int32_t model_context) {
    const auto made_for = static_cast<uint32_t>(model_context);
    const uint32_t limit = std::min(made_for, static_cast<uint32_t>(model::kMaxContext));
    if (options.context == 0) return std::min(kDefaultContext, limit);
    if (options.context > limit)
        return Error{Errc::invalid_argument,
                     "a context of " + std::to_string(options.context) + " tokens was asked for, " +
                         (limit < made_for ? "this version holds " : "the model is made for ") +
                         std::to_string(limit),
                     "set EngineOptions::context to " + std::to_string(limit) + " or less"};
    return options.context;
}

Result<void> check_options(const EngineOptions& o) {
    if (o.placement == Placement::gpu || o.placement == Placement::split)
        return Error{Errc::device_unavailable, "a GPU was asked for; this build computes on the CPU only",
                     "set EngineOptions::placement to cpu"};
    constexpr int kBudgets[] = {0, 70, 140, 280, 560, 1120};
    if (std::find(std::begin(kBudgets), std::end(kBudgets), o.image_tokens) == std::end(kBudgets))
        return Error{Errc::invalid_argument,
                     std::to_string(o.image_tokens) + " image tokens were asked for",
                     "a picture takes at most 70, 140, 280, 560 or 1120 tokens: set EngineOptions::image_tokens"};
    if (o.research.prefill_chunk == 0)
        return Error{Errc::invalid_argument, "a prefill chunk of 0 tokens was asked for", "use 1 or more"};
    if (o.kv != KvFormat::f32 && o.kv != KvFormat::f16 && o.kv != KvFormat::q8_0)
        return Error{Errc::invalid_argument,
                     "there is no format " + std::to_string(static_cast<int>(o.kv)) + " of keys and values",
                     "set EngineOptions::kv to f32, f16 or q8_0"};
    return {};
}

// The format that holds most of the matrix bytes.
std::string commonest_type(const model::Weights& w) {
    std::map<std::string, int64_t> bytes;
    for (const auto& l : w.layers)
        for (const auto* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down})
            if (*t) bytes[kernels::name(t->format)] += t->bytes();
    const auto most = std::max_element(bytes.begin(), bytes.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == bytes.end() ? "" : most->first;
}

// Every layer matrix and the tied head; of the embedding as a table only one row is read.
uint64_t bytes_per_token(const model::Weights& w) {
    int64_t total = w.embed.bytes() + kernels::row_bytes(w.embed.format, w.embed.cols);
    for (const auto& l : w.layers)
        for (const auto* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down})
            if (*t) total += t->bytes();
    return static_cast<uint64_t>(total);
}

uint64_t parameters(const LoadedModel& m) {
    uint64_t n = 0;
    for (const auto& t : m.tensors) {
        if (!t.used) continue;
        uint64_t values = 1;
        for (int64_t d : t.shape) values *= static_cast<uint64_t>(d);
        n += values;
    }
    return n;
}

// Of every format that stands in panels once it is placed.
std::vector<PanelKernels> panel_kernels(const runtime::Device& device, const model::Weights& weights) {
    std::vector<PanelKernels> out;
    for (const kernels::Format f : panel_formats(weights)) {
        const runtime::TensorView matrix{nullptr, 0, f, kernels::kPanel, kernels::panel_k_multiple(f), 0};
        const runtime::KernelChoice choice = device.kernels_of(matrix, runtime::Use::matrix);
        if (choice.layout == runtime::Layout::panels) out.push_back({kernels::name(f), choice.few, choice.many});
    }
    return out;
}

// Threads of long and of short steps; both named.
Result<runtime::PhaseThreads> phase_threads(const EngineOptions& options) {
    LAP_ASSIGN(const int all, thread_count(options.threads));
    LAP_ASSIGN(const int prefill, thread_count(options.prefill_threads != 0 ? options.prefill_threads : all));
    LAP_ASSIGN(const int decode, thread_count(options.decode_threads != 0 ? options.decode_threads : all));
    return runtime::PhaseThreads{prefill, decode};
}

// The weights of every part to its device.
Result<void> place_parts(const EngineOptions& options, const model::Weights& host,
                         std::vector<model::DevicePart>& parts) {
    const auto share = [&](size_t i) {
        const bool is_first = i == 0, is_last = i + 1 == parts.size();
        return model::Share{.first = parts[i].first,
                            .last = parts[i].last,
                            .embedding = is_first || is_last,
                            .embedding_stays = !is_last};
    };
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < parts.size(); ++i) total += model::bytes_to_move(host, share(i), *parts[i].device);
    for (size_t i = 0; i < parts.size(); ++i) {
        const uint64_t before = done;
        LAP_ASSIGN(parts[i].weights, model::place_weights(host, share(i), *parts[i].device, [&](uint64_t part) {
                       done = before + part;
                       return !options.progress || options.progress("load", done, total);
                   }));
    }
    return {};
}

}  // namespace

Result<std::vector<model::DevicePart>> cpu_part(const EngineOptions& options, const LoadedModel& loaded) {
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

Error memory_ran_out() {
    return {Errc::out_of_memory, "memory ran out", "close other programs, or set EngineOptions::context to less"};
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

Result<void> check_engine(const EngineOptions& options, int32_t model_context) {
    LAP_TRY(check_options(options));
    LAP_TRY(context_of(options, model_context));
    LAP_TRY(phase_threads(options));
    LAP_TRY(kernel_table(options.research.cpu_level));
    return {};
}

runtime::KvFormat model::EngineState::kv_format() const {
    if (options.precise) return runtime::KvFormat::f32;
    switch (options.kv) {
        case KvFormat::f32: return runtime::KvFormat::f32;
        case KvFormat::q8_0: return runtime::KvFormat::q8_0;
        case KvFormat::f16: break;
    }
    return runtime::KvFormat::f16;
}

Result<const model::Tokenizer*> tokenizer_of(const model::EngineState& state) {
    if (state.tokenizer) return &*state.tokenizer;
    return Error{Errc::bad_model_file, "this model has no usable tokenizer: " + state.loaded.vocabulary_problem,
                 "give token ids (of an excerpt: Excerpt::ids, Excerpt::random_tokens), or use a complete model"};
}

model::LoadOptions load_options(const EngineOptions& options) {
    return {.model = options.model,
            .mmproj = options.mmproj,
            .inputs = {options.needs.image, options.needs.audio},
            .weights = !options.prompts_only,
            .prompts_only = options.prompts_only};
}

Result<void> model::EngineState::take_media(bool image, bool audio) {
    const std::lock_guard lock(media_lock);
    model::LoadOptions wanted = load_options(options);
    wanted.inputs = {image, audio};
    if (loaded.config.vision || loaded.config.audio) wanted.mmproj.clear();  // it is in use already
    return model::attach_projector(wanted, loaded);
}

Result<void> model::EngineState::place_media() {
    const std::lock_guard lock(media_lock);
    model::Weights& placed = parts.front().weights;
    if (loaded.config.vision && !vision_placed) {
        LAP_TRY(model::place_vision(loaded.weights.vision, device(), placed));
        vision_placed = true;
    }
    if (loaded.config.audio && !audio_placed) {
        LAP_TRY(model::place_audio(loaded.weights.audio, device(), placed));
        audio_placed = true;
    }
    return {};
}

Result<Engine> make_engine(const EngineOptions& options, LoadedModel loaded,
                           std::chrono::steady_clock::time_point started, Packing packing,
                           const PartsMaker& make_parts) {
    LAP_TRY(check_options(options));
    auto state = std::make_shared<model::EngineState>();
    state->options = options;
    state->loaded = std::move(loaded);
    if (state->loaded.vocabulary) {
        // Ids need no tokenizer: the model opens without, and what needs text says why there is none.
        if (auto tokenizer = model::Tokenizer::create(std::move(*state->loaded.vocabulary)))
            state->tokenizer = std::move(*tokenizer);
        else
            state->loaded.vocabulary_problem = tokenizer.error().message;
        state->loaded.vocabulary.reset();
    }
    if (options.needs.text) LAP_TRY(tokenizer_of(*state));
    const model::ModelConfig& config = state->loaded.config;
    LAP_ASSIGN(const uint32_t context, context_of(options, config.context));
    LAP_ASSIGN(state->parts, make_parts(options, state->loaded));
    if (options.research.profile || options.research.trace_events > 0) {
        state->recorder = std::make_unique<runtime::Recorder>(options.research.trace_events);
        for (const model::DevicePart& part : state->parts) part.device->observe(state->recorder.get());
    }
    state->weight_bytes_per_token = bytes_per_token(state->loaded.weights);
    state->info.panels = panel_kernels(state->device(), state->loaded.weights);
    if (packing == Packing::now && !options.prompts_only)
        LAP_TRY(place_parts(options, state->loaded.weights, state->parts));
    LAP_ASSIGN(const kernels::KernelTable* level, kernel_table(options.research.cpu_level));
    ModelInfo& info = state->info;
    info.name = config.name;
    info.source = state->loaded.packed ? "lapidary" : state->loaded.source;
    info.type = commonest_type(state->loaded.weights);
    info.isa = level->isa;
    info.layers = static_cast<int32_t>(config.layers.size());
    info.hidden = config.hidden;
    info.vocab = config.vocab;
    info.context = context;
    info.model_context = static_cast<uint32_t>(config.context);
    info.parameters = parameters(state->loaded);
    info.weight_bytes = state->loaded.weights.bytes;
    info.kv_bytes_per_session =
        model::KvCache::bytes_for(config, state->kv_format(), static_cast<int32_t>(context));
    info.text = state->tokenizer.has_value();
    info.image = config.vision && config.vision->problem.empty();
    info.audio = config.audio && config.audio->problem.empty();
    LAP_ASSIGN(const runtime::PhaseThreads phases, phase_threads(options));
    info.threads = std::max(phases.prefill, phases.decode);
    info.prefill_threads = phases.prefill;
    info.decode_threads = phases.decode;
    info.kv = options.precise ? KvFormat::f32 : options.kv;
    info.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    info.stop_ids = config.stop_ids;
    info.suppress_ids = config.suppress_ids;
    info.notes = state->loaded.notes;
    return model::Access::engine(std::move(state));
}

Result<Engine> Engine::open(const EngineOptions& options) try {
    const auto started = std::chrono::steady_clock::now();
    LAP_TRY(check_options(options));
    if (options.progress && !options.progress("load", 0, 0)) return Error{Errc::cancelled, "loading was stopped"};
    LAP_ASSIGN(auto loaded, model::load_model(load_options(options)));
    return make_engine(options, std::move(loaded), started);
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Engine::Engine(std::shared_ptr<model::EngineState> state) : state_(std::move(state)) {}

std::string_view version() { return LAPIDARY_VERSION; }

const ModelInfo& Engine::info() const { return state_->info; }

}  // namespace lapidary
