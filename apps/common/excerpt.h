// The text that a model is judged on, as the command line gives it: a file, token ids or random tokens.
// `perplexity` and `kld` share it, and the few engine options that make sense for both.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "apps/common/command.h"
#include "apps/common/options.h"
#include "lapidary/tools.h"

namespace lapidary::cli {

struct ExcerptOptions {
    std::optional<std::string> file, tokens_file;
    Excerpt excerpt;
    uint32_t stride = 0;
    // Otherwise FILE is an argument of the verb.
    bool needs_file() const { return !file && !tokens_file && excerpt.random_tokens == 0; }
};
void add_excerpt_options(Command& command, ExcerptOptions& options);
void add_window_options(Command& command, EngineChoices& choices, ExcerptOptions& options);
// `file`: the verb's FILE, - for stdin, which is also read where nothing is named and it is no terminal.
Result<Excerpt> read_excerpt(const ExcerptOptions& options, const std::optional<std::string>& file);

// "1234 tokens in 5 contexts of 512, stride 256"
std::string coverage_text(const Coverage& coverage);
nlohmann::ordered_json coverage_json(const Coverage& coverage);

}  // namespace lapidary::cli
