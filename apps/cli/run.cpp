// `lapidary run`: one prompt in, one answer out, streamed to stdout as it comes.
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/prompt.h"
#include "apps/common/reply_output.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

struct RunOptions {
    ModelOptions model;
    PromptOptions prompt;
    EngineChoices engine;
    GenerateOptions generate;
};

void describe(Command& command, RunOptions& options, Console& console) {
    command.heading("Prompt");
    add_prompt_options(command, options.prompt);
    command.heading("Reply (sampling by default: the model's own settings)");
    add_sampling_options(command, options.generate);
    add_schema_option(command, options.prompt);
    command.flag("--hold-tools", options.generate.hold_tools, "no calls but of these tools, as their schemas say");
    command.heading("Model and machine");
    add_model_options(command, options.model);
    add_engine_options(command, options.engine);
    add_diagnostic_options(command, options.engine.diagnostics);
    command.heading("Output");
    add_output_options(command, console);
}

Result<int> answer(Program& program, const Engine& engine, const Prompt& prompt, GenerateOptions& options,
                   const Diagnostics& diagnostics) {
    Console& console = program.console;
    LAP_ASSIGN(Session session, engine.new_session());
    LAP_TRY(session.append(prompt));
    options.cancel = program.interrupt.token();
    Progress progress(console, program.interrupt);  // its clock starts here: loading is another's
    uint64_t computed = 0;
    options.progress = [&computed, sink = progress.sink(Progress::Unit::tokens)](auto stage, auto done, auto total) {
        computed = done;
        return sink(stage, done, total);
    };
    ReplyStream stream(console);
    TokenSink sink = [&stream](const Token& token) { return stream.take(token); };
    Result<Reply> reply = session.generate(options, console.json ? TokenSink{} : sink);
    if (!console.json) stream.finish(reply.has_value() && !reply->tokens.empty());
    if (!reply) return reply.error();
    LAP_TRY(deliver(console, diagnostics, engine));
    if (console.json) {
        nlohmann::ordered_json json = reply_json(*reply, engine.info(), prompt.ids());
        if (diagnostics.profile) add_profile(json, profile(engine), engine.info().untimed);
        console.write_json(json);
    }
    if (!console.json) show_timing(console, *reply, computed, engine.info());
    note_flaws(console, *reply, engine.info());
    // A reader that went away also cancels the reply; only Ctrl-C is an interruption.
    const bool interrupted = reply->finish == FinishReason::cancelled && program.interrupt.requested();
    return interrupted ? program.interrupt.exit_code() : 0;
}

}  // namespace

Result<int> run_verb(Program& program, Args args) {
    RunOptions options;
    Command command("run", "[MODEL] [-p] TEXT [-] [options]",
                    "One prompt in, one answer out, streamed to stdout. An argument alone is the model when it exists "
                    "or looks like one, else the prompt. A lone - puts standard input behind the prompt.");
    describe(command, options, program.console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    take_stdin_mark(options.prompt, options.model.positionals);
    const bool text_given = options.prompt.text || options.prompt.file || options.prompt.messages;
    LAP_ASSIGN(const Arguments arguments, split_model_and_text(options.model, text_given));
    if (arguments.own) options.prompt.text = *arguments.own;
    if (!names_a_prompt(options.prompt)) LAP_TRY(check_model_named(arguments.model));
    LAP_ASSIGN(const PromptSource source, read_prompt(options.prompt));
    if (options.generate.hold_tools && source.conversation.tools.empty())
        return usage("--hold-tools was given, and there are no tools", "give --tools FILE");
    tell_notes(program.console, source.conversation.notes);
    LAP_ASSIGN(EngineOptions engine_opts,
               engine_options(program.console, options.engine, options.model, arguments.model,
                              inputs_of(options.prompt, source)));

    const Interrupt::Scope stoppable(program.interrupt);
    LAP_TRY(test_gpu_first(program.console, program.interrupt, engine_opts));
    Progress progress(program.console, program.interrupt);
    engine_opts.progress = progress.sink();
    engine_opts.needs = needs_of(source);
    LAP_ASSIGN(const Engine engine, Engine::open(engine_opts));
    progress.clear();
    tell_notes(program.console, engine.info().notes);
    LAP_ASSIGN(const Prompt prompt, render_prompt(engine, with_stored_system(program.console, engine, source), progress.sink(Progress::Unit::work)));
    progress.clear();
    note_unread_stdin(program.console, options.prompt);
    options.generate.think_budget = options.prompt.think_budget;
    options.generate.tools = source.conversation.tools;
    options.generate.schema = source.schema;
    return answer(program, engine, prompt, options.generate, options.engine.diagnostics);
}

}  // namespace lapidary::cli
