// From options to an excerpt; see excerpt.h.
#include "apps/common/excerpt.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/common/files.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

constexpr const char* kNameText = "name a FILE (- for standard input), --tokens-file or --random-tokens";
constexpr int64_t kMaxRandomTokens = int64_t{1} << 20;

}  // namespace

void add_excerpt_options(Command& command, ExcerptOptions& options) {
    command.heading("Text: FILE in UTF-8 (- for standard input), or");
    command.text("-f,--file", options.file, "FILE", "the text, instead of the argument");
    command.text("--tokens-file", options.tokens_file, "FILE", "token ids as JSON: [2,105] or {\"ids\":[...]}");
    command.count("--random-tokens", options.excerpt.random_tokens, 1, kMaxRandomTokens,
                  "so many random ids: for models without a tokenizer");
    command.parsed("-s,--seed", "N", "seed of the random ids (default 1)", options.excerpt.seed, parse_u64);
    command.flag("--special", options.excerpt.special, "control tokens in the text (<|turn>, ...) act as such");
    command.count("--limit", options.excerpt.limit, 1, INT32_MAX, "use the first N tokens only");
}

void add_window_options(Command& command, EngineChoices& choices, ExcerptOptions& options) {
    add_context_option(command, choices.engine.context, "tokens per context (default 512, or what the model can)");
    command.count("--stride", options.stride, 1, kMaxContext,
                  "tokens that a context moves on by (default half of it)", true);
    command.count("-t,--threads", choices.engine.threads, 1, 1024, "threads (default: every core)");
    add_placement_options(command, choices);
}

Result<Excerpt> read_excerpt(const ExcerptOptions& options, const std::optional<std::string>& file) {
    Excerpt excerpt = options.excerpt;
    const int sources = (options.file ? 1 : 0) + (options.tokens_file ? 1 : 0) + (excerpt.random_tokens > 0 ? 1 : 0);
    if (sources > 1)
        return usage("--file, --tokens-file and --random-tokens exclude each other");
    if (options.tokens_file) {
        LAP_ASSIGN(excerpt.ids, read_token_ids(*options.tokens_file));
    } else if (excerpt.random_tokens == 0) {
        const std::string name = options.file ? *options.file : file.value_or("-");
        const bool named = options.file || file;
        const std::string missing = "FILE is missing: there is no text";
        if (!named && stdin_is_terminal()) return usage(missing, kNameText);
        LAP_ASSIGN(excerpt.text, read_plain_text(name));
        if (excerpt.text.empty())
            return usage(named ? fmt::format("{} is empty", name) : missing + ", and standard input is empty", kNameText);
    }
    return excerpt;
}

std::string coverage_text(const Coverage& c) {
    return fmt::format("{} tokens in {} context{} of {}, stride {}", c.tokens, c.contexts,
                       c.contexts == 1 ? "" : "s", c.context, c.stride);
}

nlohmann::ordered_json coverage_json(const Coverage& c) {
    return {{"tokens", c.tokens}, {"contexts", c.contexts}, {"ctx", c.context}, {"stride", c.stride}};
}

}  // namespace lapidary::cli
