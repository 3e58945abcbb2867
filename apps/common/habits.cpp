// The tables of habits; see habits.h. An option of another program is taken when one of ours does the same; where
// none does it is refused with a hint, because a wish that is ignored in silence is worse than an error.
#include "apps/common/habits.h"

#include <algorithm>
#include <array>

#include "apps/common/arguments.h"

namespace lapidary::cli {
namespace {

constexpr std::string_view kNoDownload = "nothing is downloaded here: fetch the file and give its path as MODEL";
constexpr std::string_view kServerLater = "a server comes in a later version";

constexpr auto kOptions = std::to_array<OptionHabit>({
    // llama.cpp: the same under another name
    {"--temperature", "--temp", {}},
    {"--n-predict,--predict", "--max-tokens", {}},
    {"--ctx-size", "--ctx", {}},
    {"--threads-batch,-tb", "--prefill-threads", {}},
    {"--system-prompt,-sys", "--system", {}},
    {"-mm", "--mmproj", {}},
    {"-ngl,--n-gpu-layers", "--gpu-layers", {}},
    {"-dev", "--device", {}},
    {"-md,--model-draft", "--draft", {}},
    {"--json-schema,--json-schema-file", "--schema", {}},
    {"--image-max-tokens", "--image-tokens", {}},
    {"--n-prompt", "--prompt", {}},
    {"--n-gen", "--generate", {}},
    {"--n-depth", "--depth", {}},
    {"--kl-divergence-base", "--base", {}},
    // llama.cpp: nothing to set here
    {"--no-mmproj", {}, "--mmproj none takes no projector"},
    {"-b,--batch-size,-ub,--ubatch-size", {}, "leave it out: the steps of a long prompt are chosen by the engine"},
    {"--mmap,--no-mmap,-mmp,--mlock", {}, "leave it out: model files are always mapped"},
    {"-fa,--flash-attn", {}, "leave it out: there is one kernel for attention"},
    {"-ctk,-ctv,--cache-type-k,--cache-type-v", {}, "--kv f32|f16|q8_0 sets the format of keys and values together"},
    {"--repeat-penalty,--repeat-last-n,--presence-penalty,--frequency-penalty,--dry-multiplier,--typical,--mirostat,--samplers",
     {}, "there are no penalties here; --temp, --top-k, --top-p and --min-p steer the sampler"},
    {"--jinja,--no-jinja,--chat-template,--chat-template-file", {},
     "leave it out: Gemma's chat template is built in; --raw goes without"},
    {"-st,--single-turn,-no-cnv,--no-conversation", {}, "leave it out: `lapidary run` answers one prompt and ends"},
    {"-cnv,--conversation,-i,--interactive", {}, "`lapidary chat` holds a conversation"},
    {"-hf,-hfr,--hf-repo,-hff,--hf-file,-mu,--model-url", {}, kNoDownload},
    {"-sm,--split-mode,-ts,--tensor-split,-mg,--main-gpu,-nkvo,-ot", {}, "leave it out: --gpu-layers N and --split 0.6 share a model between CPU and GPU, --device says which GPU"},
    {"--rope-scaling,--rope-freq-base,--rope-freq-scale,--yarn-orig-ctx", {},
     "leave it out: the model file says how positions are encoded"},
    {"--no-display-prompt", {}, "leave it out: the prompt is never printed"},
    {"-co,--color", {}, "leave it out: stderr is dimmed on a terminal; NO_COLOR and FORCE_COLOR are obeyed"},
    {"--log-disable,--no-perf", {}, "--quiet leaves stderr empty"},
    {"--perf,-v,--verbose", {}, "leave it out: timings are on stderr after every reply; --profile tells more"},
    {"--no-warmup", {}, "leave it out: only `lapidary bench` warms up"},
    {"-r,--reverse-prompt", {}, "--stop TEXT ends the reply before TEXT"},
    {"--reasoning-budget", {}, "--think on|off lets the model think, or not"},
    {"--prompt-cache", {}, "`lapidary chat` saves and loads conversations, with what was computed: /save, /load, --load"},
    {"--ignore-eos", {}, "`lapidary bench` generates a fixed number of tokens"},
    {"--context-shift,--no-context-shift,--keep", {}, "leave it out: a reply ends where the context does, and says so"},
    {"--lora", {}, "adapters are not run here: merge it into the model first"},
    {"--grammar,--grammar-file", {}, "--schema holds the answer to a JSON Schema"},
    {"--verbose-prompt", {}, "`lapidary tokenize --json` shows the tokens of a text; `run --json` those of the prompt"},
    {"-lv,--verbosity,--log-verbosity", {}, "--quiet leaves stderr empty; there are no other levels"},
    {"--numa", {}, "leave it out: `numactl` places the program"},
    {"--prio,--prio-batch", {}, "leave it out: `nice` sets the priority"},
    {"--cpu-mask", {}, "leave it out: `taskset` chooses the cores"},
    {"--override-kv", {}, "leave it out: the model file says what it is"},
    {"-j", {}, "--schema holds the answer to a schema; -t sets the threads, --json prints JSON"},
    {"--host,--port", {}, kServerLater},
    {"-e,--escape", {}, "leave it out: your shell's $'...' makes line ends"},
    {"--no-escape", {}, "leave it out: the text is taken as it is"},
    {"--video-max-frames", "--frames", {}},
    {"-pg", {}, "-p and -n measure prompt and generation one by one; -d puts tokens before either"},
    {"--chunks", {}, "--limit N uses the first N tokens"},
    {"--kl-divergence", {}, "`lapidary kld MODEL --base OTHER FILE`"},
    // ollama
    {"--format", {}, "--json prints one JSON object; --schema holds the answer to a schema"},
    {"--hidethinking", "--hide-thinking", {}},
    {"--nowordwrap", {}, "leave it out: words are never wrapped"},
    {"--keepalive", {}, "leave it out: the model is closed when the answer is there"},
    {"--modelfile", {}, "`lapidary inspect MODEL --metadata` prints the file's own keys"},
    // hyperfine
    {"--runs", "--repetitions", {}},
    {"-w,--warmup", {}, "leave it out: a step of warm-up is always run and not counted"},
    {"--export-json,--export-csv,--export-markdown", {}, "--output md|csv|json|jsonl chooses the form, > FILE the place"},
    // anybody
    {"--version", {}, "`lapidary --version` prints it"},
    {"--overwrite", "--force", {}},
    {"--silent", "--quiet", {}},
});

constexpr std::string_view kRun = "`lapidary run MODEL TEXT` answers one prompt";

constexpr auto kVerbHabits = std::to_array<VerbHabit>({
    {"serve", true, "the library is there: see \"In a program\" in README.md"},
    {"cli,complete,completion,generate,ask,prompt", false, kRun},
    {"convert,quantize,quantise,create", false, "`lapidary pack MODEL OUT.lapidary --type q4_0` quantises"},
    {"ppl", false, "`lapidary perplexity MODEL FILE`"},
    {"kl", false, "`lapidary kld MODEL --base OTHER FILE`"},
    {"benchmark", false, "`lapidary bench MODEL`"},
    {"show,info,gguf", false, "`lapidary inspect MODEL` shows what is in a file"},
    {"verify", false, "`lapidary inspect MODEL --verify` compares the checksums of a .lapidary file"},
    {"ls,models", false, "`lapidary list` shows the models that other programs keep"},
    {"pull,download", false, kNoDownload},
    {"push,rm,cp", false, "models are plain files here: MODEL is the path of one"},
    {"ps,stop", false, "nothing stays loaded here"},
    {"server", false, kServerLater},
    {"trace", false, "`lapidary run MODEL TEXT --trace FILE` writes a trace"},
    {"embed,embedding", false, "embeddings are not computed here"},
    {"detokenize", false, "`lapidary tokenize --json` shows the text of every id; the library has detokenize()"},
});

// The first of a table one of whose names the predicate takes.
template <class Table, class Same>
auto find_named(const Table& table, const Same& same) -> decltype(table.data()) {
    for (const auto& habit : table)
        for (const std::string_view name : split(habit.names, ','))
            if (same(name)) return &habit;
    return nullptr;
}

}  // namespace

const OptionHabit* find_option_habit(std::string_view given) {
    return find_named(kOptions, [given](std::string_view name) {
        return name == given || (name.starts_with("--") && name.substr(1) == given && given.size() > 2);
    });
}

std::vector<std::string_view> names_elsewhere() {
    std::vector<std::string_view> names;
    for (const OptionHabit& habit : kOptions)
        for (const std::string_view name : split(habit.names, ','))
            if (!habit.ours.empty() && name.starts_with("--")) names.push_back(name);
    return names;
}

const VerbHabit* find_verb_habit(std::string_view given) {
    return find_named(kVerbHabits, [given](std::string_view name) { return name == given; });
}

}  // namespace lapidary::cli
