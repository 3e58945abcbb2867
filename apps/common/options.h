// The options that verbs share: which model, how to run it, how to sample. The names are the contract.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/command.h"
#include "apps/common/diagnostics.h"
#include "apps/common/output.h"
#include "lapidary/lapidary.h"

namespace lapidary::cli {

inline constexpr int64_t kMaxThreads = 1024;  // that an option takes

struct ModelOptions {
    std::optional<std::string> model, mmproj;  // -m, --mmproj
    std::vector<std::string> positionals;      // MODEL, and what a verb takes after it
};
void add_model_options(Command& command, ModelOptions& options);
// --type: one of the types that weights can be written in; the library knows which those are.
void add_type_option(Command& command, std::string& type, const std::string& description);
Result<void> check_synthetic(bool synthetic, int layers, const std::string& type);  // whether the two options have such a model
void add_output_options(Command& command, Console& console);  // --json --quiet

// What the user named: MODEL (empty: none) and the verb's own argument (unset: none). A verb with an own
// argument that gets one positional takes it as that.
struct Arguments {
    std::string model;
    std::optional<std::string> own;
};
Result<Arguments> split_positionals(const ModelOptions& options, bool verb_has_own);
// For a verb whose own argument is a text: MODEL, TEXT or both. One alone is the model when it looks like one: it
// exists, or is a name without blanks that ends like a model file, has a slash, or a colon (gemma4:12b), or that another program gave.
Result<Arguments> split_model_and_text(const ModelOptions& options, bool text_given);
bool has_model_ending(const std::string& word);
// For a verb whose own argument is a file: one alone is the model only if it cannot be anything else.
Result<Arguments> split_model_and_file(const ModelOptions& options, bool takes_file);

// The path to open: the name given, else LAPIDARY_MODEL, else the bundled model (said on stderr).
Result<std::filesystem::path> resolve_model(const Console& console, const std::string& given);

// An error where a model is named that is not there: told before standard input is waited for.
Result<void> check_model_named(const std::string& given);

inline constexpr int64_t kMaxContext = int64_t{1} << 20;  // tokens; four times what the 12B was made for

struct EngineChoices {
    EngineOptions engine;
    std::string placement = "auto", kv, vision_mask = "sliding";
    std::optional<std::string> device;
    Diagnostics diagnostics;
};
enum class ContextOption { here, of_the_verb };  // of_the_verb: it has its own --ctx
void add_engine_options(Command& command, EngineChoices& choices, ContextOption context = ContextOption::here);
void add_phase_thread_options(Command& command, EngineOptions& engine);  // part of the above, as the next
Result<uint32_t> parse_context(std::string_view option, std::string_view text);  // 8k is 8192
void add_context_option(Command& command, uint32_t& context, const std::string& description);
void add_placement_options(Command& command, EngineChoices& choices);
Placement placement_of(const std::string& name);
// The library's form of the choices, with the model resolved. `inputs`: what the
// verb reads beside the model, and no result may replace.
Result<EngineOptions> engine_options(const Console& console, const EngineChoices& choices, const ModelOptions& model,
                                     const std::string& model_name, Inputs inputs = {});
// Adds the model and its projector.
void add_inputs(Inputs& inputs, const EngineOptions& engine);

// Says on stderr what of the model's files is not used (ModelInfo::notes).
void tell_notes(const Console& console, const std::vector<std::string>& notes);

// A note when there are more threads than cores for them; 0 is the library's choice. engine_options does it.
void warn_of_threads(const Console& console, int threads);

void add_sampling_options(Command& command, GenerateOptions& options);

std::string kv_name(KvFormat kv);
KvFormat kv_format(const std::string& name);

}  // namespace lapidary::cli
