// A prompt as the command line gives it: text, pictures and recordings, or a conversation in JSON.
// `run`, `logits` and `tokenize` share it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/command.h"
#include "apps/common/output.h"
#include "apps/common/results.h"
#include "lapidary/lapidary.h"

namespace lapidary::cli {

struct PromptOptions {
    std::optional<std::string> text, file, messages, system, tools;
    std::optional<std::string> schema;  // --schema: a file, or the JSON text itself
    std::vector<std::string> images, audios, videos;
    VideoFrames frames;
    bool sound = false;  // of the videos too
    std::string think = "off";
    std::optional<uint32_t> think_budget;  // --think N
    bool think_given = false, raw = false;
    bool then_stdin = false;  // a lone - among the arguments: standard input, behind the text
};
void add_prompt_options(Command& command, PromptOptions& options);
void add_media_options(Command& command, PromptOptions& options, const std::string& also = {});  // part of the above, as two of the next
Result<void> check_video_options(const PromptOptions& options);       // whether those of them fit together
void add_think_option(Command& command, PromptOptions& options);
void add_tools_option(Command& command, PromptOptions& options);
void add_schema_option(Command& command, PromptOptions& options);
bool names_a_prompt(const PromptOptions& options);
// Takes a lone - off the arguments, which asks for standard input behind the text.
void take_stdin_mark(PromptOptions& options, std::vector<std::string>& positionals);
// A note when standard input holds something that the options do not ask for.
void note_unread_stdin(const Console& console, const PromptOptions& options);

// Text read from where the options say, ready for the template.
struct PromptSource {
    bool raw = false;
    Conversation conversation;  // unless raw
    std::vector<Part> parts;    // raw
    std::string schema;         // JSON text that the answer is held to; empty: none
};
// Reads stdin only with `-p -`, `-f -`, `--messages -`, - for a medium, a lone -, or without a text when stdin is no terminal. Every
// file that the prompt names is opened and checked, so that nothing is loaded for a prompt that cannot be.
Result<PromptSource> read_prompt(const PromptOptions& options);
Result<std::string> read_schema(const PromptOptions& options);  // the text of --schema; empty: none
// The same check of a medium in a file, and of names that are none: -, URLs, pipes.
Result<void> check_medium(const Part& part);
// The files that it was read from: no result may replace one.
Inputs inputs_of(const PromptOptions& options, const PromptSource& source);
// What the model must take.
Needs needs_of(const PromptSource& source);
// Says that the system prompt is the one that its store keeps with the model.
void note_stored_system(const Console& console, const std::string& system);
// The prompt with the system prompt that its store keeps with the model, where it has none of its own; stderr says so.
PromptSource with_stored_system(const Console& console, const Engine& engine, PromptSource source);
Result<Prompt> render_prompt(const Engine& engine, const PromptSource& source, const ProgressSink& progress);

}  // namespace lapidary::cli
