// `lapidary chat`: a conversation at the terminal, or line by line through a pipe.
#include <fmt/format.h>
#include <unistd.h>

#include "apps/chat/history_file.h"
#include "apps/chat/line_editor.h"
#include "apps/chat/repl.h"
#include "apps/cli/verbs.h"
#include "apps/common/files.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/prompt.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

struct ChatVerbOptions {
    ModelOptions model;
    PromptOptions prompt;
    EngineChoices engine;
    ChatSettings settings;
    std::optional<std::string> load;
    bool hide_thinking = false, no_history = false;
};

void describe_chat(Command& command, ChatVerbOptions& options, Console& console) {
    command.heading("Conversation");
    command.text("-p,--prompt", options.prompt.text, "TEXT", "the first message, sent at once");
    add_media_options(command, options.prompt);
    command.text("--system", options.prompt.system, "TEXT", "the system prompt");
    add_think_option(command, options.prompt);
    add_schema_option(command, options.prompt);
    command.flag("--hide-thinking", options.hide_thinking, "show no thoughts");
    command.text("--load", options.load, "FILE", "go on with a chat that /save wrote");
    command.flag("--no-history", options.no_history, "neither read nor write the history of what was typed");
    command.unavailable({"--tools"}, true, Errc::invalid_argument,
                        "nobody would run them here: `lapidary run --tools FILE` prints the calls");
    command.heading("Sampling (default: the model's own settings)");
    add_sampling_options(command, options.settings.generate);
    command.heading("Model and machine");
    add_model_options(command, options.model);
    add_engine_options(command, options.engine);
    add_diagnostic_options(command, options.engine.diagnostics);
    command.heading("Output");
    add_output_options(command, console);
}

Result<void> check_together(const PromptOptions& prompt, const std::optional<std::string>& load) {
    if (prompt.text) LAP_TRY(check_plain_text(*prompt.text, "the prompt"));
    if (prompt.system) LAP_TRY(check_plain_text(*prompt.system, "--system"));
    if (prompt.schema == "-") return usage("--schema cannot be read from standard input, where the conversation comes from", "name a file");
    if (load && (prompt.system || prompt.think_given))
        return usage("--load excludes --system and --think", "/system and /think change them afterwards");
    return check_video_options(prompt);
}

// The files of the command line, for the first message.
Result<Outbox> first_outbox(const PromptOptions& prompt) {
    Outbox outbox;
    for (const std::string& file : prompt.images) LAP_TRY(outbox.add_medium(Part::Kind::image, file));
    for (const std::string& file : prompt.videos) LAP_TRY(outbox.add_medium(Part::Kind::video, file, prompt.frames));
    for (const std::string& file : prompt.audios) LAP_TRY(outbox.add_medium(Part::Kind::audio, file));
    if (prompt.sound)
        for (const std::string& file : prompt.videos) LAP_TRY(outbox.add_medium(Part::Kind::audio, file));
    return outbox;
}

Inputs chat_inputs(const PromptOptions& prompt, const EngineOptions& engine) {
    Inputs inputs;
    for (const auto* files : {&prompt.images, &prompt.videos, &prompt.audios})
        for (const std::string& file : *files) inputs.add("a picture, recording or video of the prompt", file);
    add_inputs(inputs, engine);
    return inputs;
}

Result<Chat> open_chat(const Engine& engine, const ChatVerbOptions& options) {
    if (options.load) return Chat::load(engine, *options.load);
    LAP_ASSIGN(Session session, engine.new_session());
    ChatOptions chat{.system = options.prompt.system.value_or(""), .think = options.prompt.think == "on"};
    return Chat(engine, std::move(session), std::move(chat));
}

// With editing where both ends are a terminal that can do it.
std::unique_ptr<LineReader> reader_of(Program& program, WatchedInput& input, bool history) {
    const int screen = is_capable_terminal(STDERR_FILENO) ? STDERR_FILENO : STDOUT_FILENO;
    if (stdin_is_terminal() && is_capable_terminal(screen)) {
        const std::filesystem::path file = history ? history_path() : std::filesystem::path();
        if (auto editor = line_editor(input, program.interrupt, screen, read_history(file), file)) return editor;
    }
    return plain_reader(input, program.console, stdin_is_terminal());
}

void greet(const Console& console, const ModelInfo& info, const Repl& repl) {
    console.note(fmt::format("{} · context {} · /help lists the commands", info.name, info.context));
    if (repl.chat().history().empty()) return;
    console.note(fmt::format("{} messages, {} tokens", repl.chat().history().size(), repl.chat().context()));
}

}  // namespace

Result<int> chat_verb(Program& program, Args args) {
    ChatVerbOptions options;
    Command command("chat", "[MODEL] [-p TEXT] [options]",
                    "A conversation. Every line of standard input is a message, /help lists the commands; through a pipe, answers "
                    "alone come to stdout.");
    describe_chat(command, options, program.console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, false));
    LAP_TRY(check_together(options.prompt, options.load));
    LAP_TRY(check_stdin());
    LAP_ASSIGN(options.settings.generate.schema, read_schema(options.prompt));
    LAP_TRY(check_model_named(arguments.model));
    LAP_ASSIGN(Outbox outbox, first_outbox(options.prompt));
    LAP_ASSIGN(EngineOptions engine_opts, engine_options(program.console, options.engine, options.model, arguments.model));

    const Interrupt::Scope stoppable(program.interrupt);
    LAP_TRY(test_gpu_first(program.console, program.interrupt, engine_opts));
    Progress progress(program.console, program.interrupt);
    engine_opts.progress = progress.sink();
    engine_opts.needs = outbox.needs();
    engine_opts.conversations = true;
    LAP_ASSIGN(const Engine engine, Engine::open(engine_opts));
    progress.clear();
    tell_notes(program.console, engine.info().notes);
    LAP_ASSIGN(Chat chat, open_chat(engine, options));
    if (chat.options().system.empty() && !engine.info().system.empty()) note_stored_system(program.console, engine.info().system);
    options.settings.generate.think_budget = options.prompt.think_budget;
    options.settings.show_thoughts = !options.hide_thinking;

    const bool at_terminal = stdin_is_terminal();
    Repl repl(program, engine, std::move(chat), options.settings, chat_inputs(options.prompt, engine_opts), at_terminal);
    repl.outbox() = std::move(outbox);
    if (at_terminal) greet(program.console, engine.info(), repl);
    WatchedInput input(program.interrupt);
    const auto reader = reader_of(program, input, !options.no_history);
    if (options.prompt.text) repl.say(*options.prompt.text);
    LAP_ASSIGN(const int code, repl.run(*reader));
    LAP_TRY(deliver(program.console, options.engine.diagnostics, engine));
    return code;
}

}  // namespace lapidary::cli
