// Opening a model and describing it. Prompts are built in prompt.cpp, sessions live in session.cpp.
#include <algorithm>
#include <chrono>
#include <map>
#include <new>

#include "base/try.h"
#include "model/engine_state.h"
#include "model/load/identity.h"
#include "model/load/projector.h"
#include "runtime/cpu/power.h"
#include "runtime/vulkan/make_vulkan_device.h"

namespace lapidary {

using model::LoadedModel;

namespace {

constexpr uint32_t kDefaultContext = 8192, kMaxSessions = 4096;

}  // namespace

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
    LAP_TRY(asked_placement(o));
    constexpr int kBudgets[] = {0, 70, 140, 280, 560, 1120};
    if (std::find(std::begin(kBudgets), std::end(kBudgets), o.image_tokens) == std::end(kBudgets))
        return Error{Errc::invalid_argument,
                     std::to_string(o.image_tokens) + " image tokens were asked for",
                     "a picture takes at most 70, 140, 280, 560 or 1120 tokens: set EngineOptions::image_tokens"};
    if (o.research.prefill_chunk == 0)
        return Error{Errc::invalid_argument, "a prefill chunk of 0 tokens was asked for", "use 1 or more"};
    if (o.kv && *o.kv != KvFormat::f32 && *o.kv != KvFormat::f16 && *o.kv != KvFormat::q8_0)
        return Error{Errc::invalid_argument,
                     "there is no format " + std::to_string(static_cast<int>(*o.kv)) + " of keys and values",
                     "set EngineOptions::kv to f32, f16 or q8_0"};
    if (o.sessions == 0 || o.sessions > kMaxSessions)
        return Error{Errc::invalid_argument, std::to_string(o.sessions) + " sessions are planned for",
                     "plan for 1 to " + std::to_string(kMaxSessions)};
    return {};
}

std::string commonest_type(const model::Weights& w) {
    std::map<std::string, int64_t> bytes;
    for (const auto& l : w.layers)
        for (const auto* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down})
            if (*t) bytes[kernels::name(t->format)] += t->bytes();
    const auto most = std::max_element(bytes.begin(), bytes.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == bytes.end() ? "" : most->first;
}

namespace {

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

}  // namespace

Error memory_ran_out() {
    return {Errc::out_of_memory, "memory ran out", "close other programs, or set EngineOptions::context to less"};
}

Result<void> check_engine(const EngineOptions& options, int32_t model_context) {
    LAP_TRY(check_options(options));
    LAP_TRY(context_of(options, model_context));
    LAP_TRY(phase_threads(options));
    LAP_TRY(kernel_table(options.research.cpu_level));
    LAP_ASSIGN(const AskedPlacement asked, asked_placement(options));
    if (asked.needs_gpu()) LAP_TRY(runtime::find_gpu(asked.device));
    return {};
}

runtime::KvFormat model::EngineState::kv_format() const {
    switch (info.kv) {
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

namespace {

// Plans and refuses what does not fit. Devices that the caller makes are planned for as the CPU, and are his affair.
Result<void> decide(model::EngineState& state, uint32_t context, bool own_devices) {
    EngineOptions options = state.options;
    if (!own_devices) {
        options.placement = Placement::cpu;
        options.device.clear();
        options.gpu_layers.reset();
        options.gpu_share.reset();
    }
    LAP_ASSIGN(runtime::MachineFacts machine, this_machine(options));
    if (state.loaded.files.empty()) machine.usable_bytes += state.loaded.weights.bytes;  // made in memory: they are there already
    LAP_ASSIGN(const runtime::Plan plan, plan_for(options, state.loaded, context, machine));
    state.machine = machine;
    state.publish(plan);
    if (plan.regions.empty()) return Error{Errc::device_unavailable, plan.why.front(), "set EngineOptions::placement to gpu, split or cpu"};
    if (!plan.fits && own_devices) return refusal(state.plan);
    state.info.kv = plan.kv == runtime::KvFormat::f32 ? KvFormat::f32 : plan.kv == runtime::KvFormat::f16 ? KvFormat::f16 : KvFormat::q8_0;
    if (!own_devices) return {};
    LAP_ASSIGN(const AskedPlacement asked, asked_placement(options));
    state.automatic = asked.placement == Placement::automatic;
    state.may_move = state.automatic && machine.gpu && !state.loaded.files.empty();
    state.power = runtime::name(runtime::power_state(options.research.system_root));
    return {};
}

}  // namespace

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
    if (options.research.profile || options.research.trace_events > 0)
        state->recorders = std::make_unique<runtime::Recorders>(options.research.trace_events);
    const bool computes = packing == Packing::now && !options.prompts_only;
    state->info.kv = options.precise ? KvFormat::f32 : options.kv.value_or(KvFormat::f16);
    state->info.context = context;
    if (computes) LAP_TRY(decide(*state, context, !make_parts));
    state->make_parts = make_parts;
    if (!make_parts)
        state->make_parts = [&s = *state](EngineOptions o, const LoadedModel& model, Attempt attempt) {
            const bool may_fall_back = s.automatic && s.placement.kind != runtime::PlacementKind::cpu;
            if (may_fall_back) o.device = s.machine.gpu->name;
            auto made = planned_parts(s.placement, o, model, attempt);
            if (made || !may_fall_back) return made;
            s.tell("the GPU was measured to be faster and cannot be opened: " + made.error().message + "; going on on the CPU");
            return cpu_part(o, model);
        };
    if (computes) state->identity = model::identity_of(config, state->loaded.weights);  // before sources are given back
    LAP_TRY(state->set_up(state->make_parts, computes, options.progress));
    state->weight_bytes_per_token = bytes_per_token(state->loaded.weights);
    state->info.panels = panel_kernels(state->device(), state->loaded.weights);
    LAP_ASSIGN(const kernels::KernelTable* level, kernel_table(options.research.cpu_level));
    ModelInfo& info = state->info;
    info.name = config.name;
    info.source = state->loaded.packed ? "lapidary" : state->loaded.source;
    info.type = commonest_type(state->loaded.weights);
    info.isa = level->isa;
    for (const model::DevicePart& part : state->parts)
        if (info.gpu.empty()) info.gpu = part.gpu;
    info.layers = static_cast<int32_t>(config.layers.size());
    info.hidden = config.hidden;
    info.vocab = config.vocab;
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
    info.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    info.stop_ids = config.stop_ids;
    info.suppress_ids = config.suppress_ids;
    info.notes = state->loaded.notes;
    info.system = state->loaded.system;
    if (state->recorders) info.untimed = state->recorders->missing();
    if (!info.untimed.empty()) info.notes.push_back(info.untimed);
    if (!options.kv && !options.precise && info.kv == KvFormat::q8_0)
        info.notes.push_back("keys and values are kept in q8_0: in f16 a context of " + std::to_string(context) + " tokens does not fit");
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
Plan Engine::plan() const {
    const std::lock_guard lock(state_->parts_lock);
    return state_->plan;
}

}  // namespace lapidary
