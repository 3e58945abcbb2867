// The tables of habits; see habits.h. An option of another program is taken when one of ours does the same; where
// none does it is refused with a hint, because a wish that is ignored in silence is worse than an error.
#include "apps/common/habits.h"

#include <algorithm>
#include <array>

namespace lapidary::cli {
namespace {

constexpr std::string_view kBatches = "leave it out: the steps of a long prompt are chosen by the engine";
constexpr std::string_view kMapped = "leave it out: model files are always mapped";
constexpr std::string_view kKv = "--kv f32|f16|q8_0 sets the format of keys and values together";
constexpr std::string_view kNoPenalties = "there are no penalties here; --temp, --top-k, --top-p and --min-p steer the sampler";
constexpr std::string_view kTemplate = "leave it out: Gemma's chat template is built in; --raw goes without";
constexpr std::string_view kOneAnswer = "leave it out: `lapidary run` answers one prompt and ends";
constexpr std::string_view kChatLater = "a chat comes in a later version; `lapidary run` answers one prompt";
constexpr std::string_view kNoDownload = "nothing is downloaded here: fetch the file and give its path as MODEL";
constexpr std::string_view kTimings = "leave it out: timings are on stderr after every reply; --profile tells more";
constexpr std::string_view kOneDevice = "leave it out: this version runs on the CPU";
constexpr std::string_view kModelSays = "leave it out: the model file says how positions are encoded";
constexpr std::string_view kExport = "--output md|csv|json|jsonl chooses the form, > FILE the place";
constexpr std::string_view kServerLater = "a server comes in a later version";
constexpr std::string_view kGrammarLater = "grammars come in a later version";

constexpr auto kOptions = std::to_array<OptionHabit>({
    // llama.cpp: the same under another name
    {"--temperature", "--temp", {}},
    {"--n-predict", "--max-tokens", {}},
    {"--predict", "--max-tokens", {}},
    {"--ctx-size", "--ctx", {}},
    {"--threads-batch", "--prefill-threads", {}},
    {"-tb", "--prefill-threads", {}},
    {"--system-prompt", "--system", {}},
    {"-sys", "--system", {}},
    {"-mm", "--mmproj", {}},
    {"-ngl", "--gpu-layers", {}},
    {"--n-gpu-layers", "--gpu-layers", {}},
    {"-dev", "--device", {}},
    {"-md", "--draft", {}},
    {"--model-draft", "--draft", {}},
    {"--json-schema", "--schema", {}},
    {"--json-schema-file", "--schema", {}},
    {"--image-max-tokens", "--image-tokens", {}},
    {"--n-prompt", "--prompt", {}},
    {"--n-gen", "--generate", {}},
    {"--n-depth", "--depth", {}},
    {"--kl-divergence-base", "--base", {}},
    // llama.cpp: nothing to set here
    {"--no-mmproj", {}, "--mmproj none takes no projector"},
    {"-b", {}, kBatches},
    {"--batch-size", {}, kBatches},
    {"-ub", {}, kBatches},
    {"--ubatch-size", {}, kBatches},
    {"--mmap", {}, kMapped},
    {"--no-mmap", {}, kMapped},
    {"-mmp", {}, kMapped},
    {"--mlock", {}, kMapped},
    {"-fa", {}, "leave it out: there is one kernel for attention"},
    {"--flash-attn", {}, "leave it out: there is one kernel for attention"},
    {"-ctk", {}, kKv},
    {"-ctv", {}, kKv},
    {"--cache-type-k", {}, kKv},
    {"--cache-type-v", {}, kKv},
    {"--repeat-penalty", {}, kNoPenalties},
    {"--repeat-last-n", {}, kNoPenalties},
    {"--presence-penalty", {}, kNoPenalties},
    {"--frequency-penalty", {}, kNoPenalties},
    {"--dry-multiplier", {}, kNoPenalties},
    {"--typical", {}, kNoPenalties},
    {"--mirostat", {}, kNoPenalties},
    {"--samplers", {}, kNoPenalties},
    {"--jinja", {}, kTemplate},
    {"--no-jinja", {}, kTemplate},
    {"--chat-template", {}, kTemplate},
    {"--chat-template-file", {}, kTemplate},
    {"-st", {}, kOneAnswer},
    {"--single-turn", {}, kOneAnswer},
    {"-no-cnv", {}, kOneAnswer},
    {"--no-conversation", {}, kOneAnswer},
    {"-cnv", {}, kChatLater},
    {"--conversation", {}, kChatLater},
    {"-i", {}, kChatLater},
    {"--interactive", {}, kChatLater},
    {"-hf", {}, kNoDownload},
    {"-hfr", {}, kNoDownload},
    {"--hf-repo", {}, kNoDownload},
    {"-hff", {}, kNoDownload},
    {"--hf-file", {}, kNoDownload},
    {"-mu", {}, kNoDownload},
    {"--model-url", {}, kNoDownload},
    {"-sm", {}, kOneDevice},
    {"--split-mode", {}, kOneDevice},
    {"-ts", {}, kOneDevice},
    {"--tensor-split", {}, kOneDevice},
    {"-mg", {}, kOneDevice},
    {"--main-gpu", {}, kOneDevice},
    {"-nkvo", {}, kOneDevice},
    {"-ot", {}, kOneDevice},
    {"--rope-scaling", {}, kModelSays},
    {"--rope-freq-base", {}, kModelSays},
    {"--rope-freq-scale", {}, kModelSays},
    {"--yarn-orig-ctx", {}, kModelSays},
    {"--no-display-prompt", {}, "leave it out: the prompt is never printed"},
    {"-co", {}, "leave it out: stderr is dimmed on a terminal; NO_COLOR and FORCE_COLOR are obeyed"},
    {"--color", {}, "leave it out: stderr is dimmed on a terminal; NO_COLOR and FORCE_COLOR are obeyed"},
    {"--log-disable", {}, "--quiet leaves stderr empty"},
    {"--no-perf", {}, "--quiet leaves stderr empty"},
    {"--perf", {}, kTimings},
    {"-v", {}, kTimings},
    {"--verbose", {}, kTimings},
    {"--no-warmup", {}, "leave it out: only `lapidary bench` warms up"},
    {"-r", {}, "--stop TEXT ends the reply before TEXT"},
    {"--reverse-prompt", {}, "--stop TEXT ends the reply before TEXT"},
    {"--reasoning-budget", {}, "--think on|off lets the model think, or not"},
    {"--prompt-cache", {}, "sessions on disk come in a later version"},
    {"--ignore-eos", {}, "`lapidary bench` generates a fixed number of tokens"},
    {"--context-shift", {}, "leave it out: a reply ends where the context does, and says so"},
    {"--no-context-shift", {}, "leave it out: a reply ends where the context does, and says so"},
    {"--keep", {}, "leave it out: a reply ends where the context does, and says so"},
    {"--lora", {}, "adapters are not run here: merge it into the model first"},
    {"--grammar", {}, kGrammarLater},
    {"--grammar-file", {}, kGrammarLater},
    {"--verbose-prompt", {}, "`lapidary tokenize --json` shows the tokens of a text; `run --json` those of the prompt"},
    {"-lv", {}, "--quiet leaves stderr empty; there are no other levels"},
    {"--verbosity", {}, "--quiet leaves stderr empty; there are no other levels"},
    {"--log-verbosity", {}, "--quiet leaves stderr empty; there are no other levels"},
    {"--numa", {}, "leave it out: `numactl` places the program"},
    {"--prio", {}, "leave it out: `nice` sets the priority"},
    {"--prio-batch", {}, "leave it out: `nice` sets the priority"},
    {"--cpu-mask", {}, "leave it out: `taskset` chooses the cores"},
    {"--override-kv", {}, "leave it out: the model file says what it is"},
    {"-j", {}, "replies bound to a schema come in a later version; -t sets the threads, --json prints JSON"},
    {"--host", {}, kServerLater},
    {"--port", {}, kServerLater},
    {"--tools", {}, "tools come in a later version"},
    {"-e", {}, "leave it out: your shell's $'...' makes line ends"},
    {"--escape", {}, "leave it out: your shell's $'...' makes line ends"},
    {"--no-escape", {}, "leave it out: the text is taken as it is"},
    {"--video-max-frames", {}, "video comes in a later version"},
    {"-pg", {}, "-p and -n measure prompt and generation one by one; -d puts tokens before either"},
    {"--chunks", {}, "--limit N uses the first N tokens"},
    {"--kl-divergence", {}, "`lapidary kld MODEL --base OTHER FILE`"},
    // ollama
    {"--format", {}, "--json prints one JSON object; replies bound to a schema come in a later version"},
    {"--hidethinking", {}, "--quiet hides the thoughts; --think off leaves them out"},
    {"--nowordwrap", {}, "leave it out: words are never wrapped"},
    {"--keepalive", {}, "leave it out: the model is closed when the answer is there"},
    {"--modelfile", {}, "`lapidary inspect MODEL --metadata` prints the file's own keys"},
    // hyperfine
    {"--runs", "--repetitions", {}},
    {"-w", {}, "leave it out: a step of warm-up is always run and not counted"},
    {"--warmup", {}, "leave it out: a step of warm-up is always run and not counted"},
    {"--export-json", {}, kExport},
    {"--export-csv", {}, kExport},
    {"--export-markdown", {}, kExport},
    // anybody
    {"--version", {}, "`lapidary --version` prints it"},
    {"--overwrite", "--force", {}},
    {"--silent", "--quiet", {}},
});

constexpr std::string_view kPack = "`lapidary pack MODEL OUT.lapidary --type q4_0` quantises";
constexpr std::string_view kRun = "`lapidary run MODEL TEXT` answers one prompt";
constexpr std::string_view kInspect = "`lapidary inspect MODEL` shows what is in a file";
constexpr std::string_view kListLater = "give the path of a file as MODEL; `lapidary inspect MODEL` looks into it";
constexpr std::string_view kFiles = "models are plain files here: MODEL is the path of one";

constexpr auto kVerbHabits = std::to_array<VerbHabit>({
    {"chat", true, kRun},
    {"list", true, kListLater},
    {"plan", true, "`lapidary inspect MODEL` tells the bytes of weights and KV cache"},
    {"tune", true, "`lapidary bench MODEL -t 2,4,8` compares thread counts"},
    {"serve", true, "the library is there: see \"In a program\" in README.md"},
    {"cli", false, kRun},
    {"complete", false, kRun},
    {"completion", false, kRun},
    {"generate", false, kRun},
    {"ask", false, kRun},
    {"prompt", false, kRun},
    {"convert", false, kPack},
    {"quantize", false, kPack},
    {"quantise", false, kPack},
    {"create", false, kPack},
    {"ppl", false, "`lapidary perplexity MODEL FILE`"},
    {"kl", false, "`lapidary kld MODEL --base OTHER FILE`"},
    {"benchmark", false, "`lapidary bench MODEL`"},
    {"show", false, kInspect},
    {"info", false, kInspect},
    {"gguf", false, kInspect},
    {"verify", false, "`lapidary inspect MODEL --verify` compares the checksums of a .lapidary file"},
    {"ls", false, kListLater},
    {"pull", false, kNoDownload},
    {"push", false, kFiles},
    {"download", false, kNoDownload},
    {"rm", false, kFiles},
    {"cp", false, kFiles},
    {"ps", false, "nothing stays loaded here"},
    {"stop", false, "nothing stays loaded here"},
    {"server", false, "a server comes in a later version"},
    {"trace", false, "`lapidary run MODEL TEXT --trace FILE` writes a trace"},
    {"embed", false, "embeddings are not computed here"},
    {"embedding", false, "embeddings are not computed here"},
    {"detokenize", false, "`lapidary tokenize --json` shows the text of every id; the library has detokenize()"},
});

}  // namespace

const OptionHabit* find_option_habit(std::string_view name) {
    const auto same = [name](const OptionHabit& h) {
        return h.name == name || (h.name.starts_with("--") && h.name.substr(1) == name && name.size() > 2);
    };
    const auto* found = std::find_if(kOptions.begin(), kOptions.end(), same);
    return found != kOptions.end() ? found : nullptr;
}

std::vector<std::string_view> names_elsewhere() {
    std::vector<std::string_view> names;
    for (const OptionHabit& habit : kOptions)
        if (!habit.ours.empty() && habit.name.starts_with("--")) names.push_back(habit.name);
    return names;
}

const VerbHabit* find_verb_habit(std::string_view name) {
    const auto* found =
        std::find_if(kVerbHabits.begin(), kVerbHabits.end(), [name](const auto& h) { return h.name == name; });
    return found != kVerbHabits.end() ? found : nullptr;
}

}  // namespace lapidary::cli
