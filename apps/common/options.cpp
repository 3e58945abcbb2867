// Shared option tables and the search for the model; see options.h.
#include "apps/common/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

#include "apps/common/files.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 24;
constexpr std::array kImageTokens = {70, 140, 280, 560, 1120};

Result<int64_t> parse_image_tokens(const std::string& option, const std::string& text) {
    LAP_ASSIGN(const int64_t value, parse_count(option, text, 1, kImageTokens.back()));
    if (std::find(kImageTokens.begin(), kImageTokens.end(), value) == kImageTokens.end())
        return usage(fmt::format("{} is {}, allowed are {}", option, value, fmt::join(kImageTokens, ", ")));
    return value;
}

// The names under which other programs keep models.
bool is_store_name(const std::string& name) {
    constexpr std::array kPrefixes = {"ollama:", "hf:", "lmstudio:", "llama.cpp:", "llamacpp:"};
    return std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](const char* prefix) { return name.starts_with(prefix); });
}

}  // namespace

void add_model_options(Command& command, ModelOptions& options) {
    command.positionals(options.positionals);
    command.text("-m,--model", options.model, "MODEL", "the model, instead of the first argument");
    command.text("--mmproj", options.mmproj, "FILE|none",
                 "projector of a GGUF (default: the best beside it that fits)");
}

void add_type_option(Command& command, std::string& type, const std::string& description) {
    const auto any = [](const auto&, const auto& text) { return Result<std::string>(text); };
    command.parsed("--type", "TYPE", description, type, any, {"q4_0", "q8_0", "q4_k", "q6_k", "bf16", "f16"});
}

Result<void> check_synthetic(bool synthetic, int layers, const std::string& type) {
    if (!synthetic && layers > 0) return usage("--layers needs --synthetic", "a file has the layers it has");
    if (!synthetic && !type.empty())
        return usage("--type needs --synthetic", "a file has the type it has; `lapidary pack MODEL OUT --type` makes another");
    return {};
}

void add_output_options(Command& command, Console& console) {
    command.flag("--json", console.json, "JSON on stdout, errors too");
    command.flag("-q,--quiet", console.quiet, "no notes, thoughts and timings on stderr");
}

Result<Arguments> split_positionals(const ModelOptions& options, bool verb_has_own) {
    const auto& given = options.positionals;
    const size_t allowed = (options.model ? 0 : 1) + (verb_has_own ? 1 : 0);
    if (given.size() > allowed)
        return usage(fmt::format("unexpected argument '{}'", given[allowed]),
                     options.model  ? "the model is already named by -m"
                     : verb_has_own ? fmt::format("quote what has blanks in it: \"{} {}\"", given[allowed - 1], given[allowed])
                                    : "");
    Arguments arguments;
    if (options.model) arguments.model = *options.model;
    if (verb_has_own && !given.empty()) arguments.own = given.back();
    if (given.size() == allowed && !options.model && !given.empty()) arguments.model = given.front();
    return arguments;
}

bool has_model_ending(const std::string& word) {
    return word.ends_with(".gguf") || word.ends_with(".lapidary") || word.ends_with(".safetensors");
}

namespace {

// No text: where a file of either kind may stand.
bool is_a_model(const std::string& word) {
    std::error_code ignored;
    return is_store_name(word) || has_model_ending(word) || std::filesystem::is_directory(word, ignored) ||
           is_model_file(word);
}

bool looks_like_a_model(const std::string& word) {
    std::error_code ignored;
    if (is_store_name(word) || std::filesystem::exists(word, ignored)) return true;
    if (word.find_first_of(" \t\n") != word.npos) return false;
    if (has_model_ending(word)) return true;
    const size_t colon = word.find(':');  // gemma4:12b
    if (word.find('/') != word.npos || (colon != word.npos && colon > 0 && colon + 1 < word.size())) return true;
    const auto found = find_model(word);  // a name that another program gave
    return found && !found->name.empty();
}

// Where nothing is named on the line the environment may name it.
std::string model_named(const std::string& given) {
    const char* variable = std::getenv("LAPIDARY_MODEL");
    return !given.empty() ? given : variable != nullptr ? variable : "";
}

}  // namespace

Result<Arguments> split_model_and_file(const ModelOptions& options, bool takes_file) {
    const auto& given = options.positionals;
    const bool only_a_model = given.size() == 1 && !options.model && is_a_model(given[0]);
    return split_positionals(options, takes_file && !only_a_model);
}

Result<Arguments> split_model_and_text(const ModelOptions& options, bool text_given) {
    const auto& given = options.positionals;
    const bool only_a_model = given.size() == 1 && !options.model && looks_like_a_model(given[0]);
    return split_positionals(options, !text_given && !only_a_model);
}

Result<std::filesystem::path> resolve_model(const Console& console, const std::string& given) {
    const std::string name = model_named(given);
    if (!name.empty()) {
        if (given.empty()) console.note(fmt::format("model: {} (from LAPIDARY_MODEL)", name));
        return std::filesystem::path(name);
    }
    LAP_ASSIGN(std::filesystem::path bundled, bundled_model());
    console.note(fmt::format("model: {} (bundled; name another as the first argument)", bundled.string()));
    return bundled;
}

Result<void> check_model_named(const std::string& given) {
    const std::string name = model_named(given);
    if (name.empty()) return {};
    LAP_ASSIGN(const FoundModel found, find_model(name));
    std::error_code ignored;
    if (!found.name.empty() || std::filesystem::exists(name, ignored)) return {};
    return Error{Errc::model_not_found, fmt::format("there is no file or folder {}", name), "check the path of the model"};
}

void add_phase_thread_options(Command& command, EngineOptions& engine) {
    command.count("--prefill-threads", engine.prefill_threads, 1, kMaxThreads, "of long steps (default: --threads)");
    command.count("--decode-threads", engine.decode_threads, 1, kMaxThreads,
                  "of steps of up to 8 tokens (default: --threads)");
}

Result<uint32_t> parse_context(std::string_view option, std::string_view text) {
    const Result<int64_t> value = parse_count(option, text, 1, kMaxContext, true);
    if (value) return static_cast<uint32_t>(*value);
    if (text != "0") return value.error();
    return Error{value.error().code, value.error().message,
                 "give the number: the model's own context stands in `lapidary inspect MODEL`"};
}

void add_context_option(Command& command, uint32_t& context, const std::string& description) {
    command.parsed("-c,--ctx", "N", description, context, parse_context);
}

void add_placement_options(Command& command, EngineChoices& choices) {
    command.choice("--placement", choices.placement, {"auto", "cpu", "gpu", "split", "phases"}, "where layers run (default auto; lapidary plan)");
    command.text("--device", choices.device, "N|NAME", "the GPU, as `lapidary doctor` lists them; implies gpu");
    command.count("--gpu-layers", choices.engine.gpu_layers, 0, 1'000'000, "the last so many on the GPU, with the head; implies split");
    command.real("--split", choices.engine.gpu_share, 0, 1, "share of every matrix's rows on the GPU, for prompts and replies; implies split");
    command.parsed("--memory", "N", "memory to use, as 12G or 800M (default: what is free, less a reserve)", choices.engine.memory_bytes,
                   parse_bytes);
}

Placement placement_of(const std::string& name) {
    return name == "cpu"      ? Placement::cpu
           : name == "gpu"    ? Placement::gpu
           : name == "split"  ? Placement::split
           : name == "phases" ? Placement::phases
                              : Placement::automatic;
}

void add_engine_options(Command& command, EngineChoices& choices, ContextOption context) {
    EngineOptions& engine = choices.engine;
    if (context == ContextOption::here)
        add_context_option(command, engine.context, "context in tokens, 8k works too (default 8k)");
    command.count("-t,--threads", engine.threads, 1, kMaxThreads, "threads (default: every fast core)");
    add_phase_thread_options(command, engine);
    add_placement_options(command, choices);
    command.choice("--kv", choices.kv, {"f32", "f16", "q8_0"}, "format of the KV cache (default f16, or q8_0 where only that fits)");
    command.flag("--precise", engine.precise, "f32 matmul inputs and f32 KV");
    command.parsed("--image-tokens", "N", "70, 140, 280, 560 or 1120 per picture", engine.image_tokens, parse_image_tokens,
                   {"70", "140", "280", "560", "1120"});
    command.choice("--vision-mask", choices.vision_mask, {"sliding", "all"}, "layers with picture blocks");
    command.unavailable({"--draft", "--video-tokens"}, true,
                        Errc::invalid_argument, "leave it out");
}

Result<EngineOptions> engine_options(const Console& console, const EngineChoices& choices,
                                     const ModelOptions& model, const std::string& model_name, Inputs inputs) {
    EngineOptions engine = choices.engine;
    engine.placement = placement_of(choices.placement);
    if (choices.device && choices.device->empty()) return usage("--device is empty", "`lapidary doctor` lists the GPUs");
    engine.device = choices.device.value_or("");
    engine.note = [&console](std::string_view note) { console.note(fmt::format("note: {}", note)); };
    if (!choices.kv.empty()) engine.kv = kv_format(choices.kv);
    engine.research.vision_blocks_everywhere = choices.vision_mask == "all";
    if (model.mmproj) engine.mmproj = *model.mmproj;
    LAP_ASSIGN(engine.model, resolve_model(console, model_name));
    add_inputs(inputs, engine);
    LAP_TRY(request(choices.diagnostics, inputs, engine));
    for (const int threads : {engine.threads, engine.prefill_threads, engine.decode_threads})
        warn_of_threads(console, threads);
    return engine;
}

void add_inputs(Inputs& inputs, const EngineOptions& engine) {
    const auto found = find_model(engine.model);  // of a name, the files that it stands for
    inputs.add_model(found ? found->path : engine.model);
    if (found && !found->mmproj.empty()) inputs.add("the projector", found->mmproj);
    if (!engine.mmproj.empty()) inputs.add("the projector", engine.mmproj);
}

void tell_notes(const Console& console, const std::vector<std::string>& notes) {
    for (const std::string& note : notes) console.note(fmt::format("note: {}", note));
}

void warn_of_threads(const Console& console, int threads) {
    const unsigned cores = std::thread::hardware_concurrency();  // that this process may use
    if (cores > 0 && threads > static_cast<int>(cores))
        console.note(fmt::format("note: {} threads on {} core{}: they wait for each other", threads, cores,
                                 cores == 1 ? "" : "s"));
}

void add_sampling_options(Command& command, GenerateOptions& options) {
    Sampling& sampling = options.sampling;
    command.real("--temp", sampling.temperature, 0, 100, "temperature; 0 is greedy and deterministic");
    command.parsed("--top-k", "N", "keep the k likeliest tokens; 0: all", sampling.top_k,
                   [](const auto& option, const auto& text) -> Result<int64_t> {
                       LAP_ASSIGN(const int64_t value, parse_count(option, text, -1, INT32_MAX));
                       return std::max<int64_t>(value, 0);  // -1: another word for all
                   });
    command.parsed("--top-p", "X", "keep tokens up to this probability in sum", sampling.top_p, parse_share);
    command.real("--min-p", sampling.min_p, 0, 1, "drop tokens below this share of the likeliest");
    command.custom("-s,--seed", "N", "seed of the sampler (default random)",
                   [&sampling](const auto& option, const auto& text) -> Result<void> {
                       if (text == "-1") return {};  // another word for random
                       LAP_ASSIGN(sampling.seed, parse_u64(option, text));
                       return {};
                   });
    command.custom("-n,--max-tokens", "N", "end the reply here; -1: where the context does (default 1024)",
                   [&options](const auto& option, const auto& text) -> Result<void> {
                       const bool unlimited = text == "-1" || text == "-2";  // -2 says the same elsewhere
                       const Result<int64_t> given = parse_count(option, text, 1, kMaxTokens);
                       if (!unlimited && !given) return given.error();
                       options.max_tokens = static_cast<uint32_t>(unlimited ? kMaxTokens : *given);
                       return {};
                   });
    command.repeated("--stop", "TEXT", "end the reply before this text; repeatable",
                     [&options](const auto& option, const auto& text) -> Result<void> {
                         LAP_TRY(check_plain_text(text, option));
                         options.stop.push_back(text);
                         return {};
                     });
}

KvFormat kv_format(const std::string& name) {
    return name == "f32" ? KvFormat::f32 : name == "q8_0" ? KvFormat::q8_0 : KvFormat::f16;
}

std::string kv_name(KvFormat kv) {
    return kv == KvFormat::f32 ? "f32" : kv == KvFormat::q8_0 ? "q8_0" : "f16";
}

}  // namespace lapidary::cli
