// `lapidary logits`: the forward pass, its rows of scores written to a file as little-endian f32.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/files.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/prompt.h"
#include "apps/common/results.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct LogitsOptions {
    ModelOptions model;
    PromptOptions prompt;
    EngineChoices engine;
    std::optional<std::string> tokens, tokens_file, out;
    bool all = false;
};

void describe(Command& command, LogitsOptions& options, Console& console) {
    command.heading("Input: ids, or any prompt that `run` takes");
    command.text("--tokens", options.tokens, "IDS", "token ids: 2,105,2364");
    command.text("--tokens-file", options.tokens_file, "FILE",
                 "token ids as JSON: [2,105] or {\"ids\":[...]}");
    add_prompt_options(command, options.prompt);
    command.heading("Result");
    command.text("-o,--out", options.out, "FILE", "f32 rows [rows, vocab], whole or absent; - writes to stdout");
    command.flag("--all", options.all, "a row for every token, not only the last");
    add_output_options(command, console);
    command.heading("Model and machine");
    add_model_options(command, options.model);
    add_engine_options(command, options.engine);
    add_diagnostic_options(command, options.engine.diagnostics);
}

// Either ids or a prompt; read before the model is opened.
struct Input {
    std::optional<std::vector<int32_t>> ids;
    PromptSource prompt;
};
Result<Input> read_input(const LogitsOptions& options, const std::string& model) {
    Input input;
    const int sources = (options.tokens ? 1 : 0) + (options.tokens_file ? 1 : 0) + (names_a_prompt(options.prompt) ? 1 : 0);
    if (sources > 1) return usage("--tokens, --tokens-file and a prompt exclude each other");
    const PromptOptions& p = options.prompt;
    if ((options.tokens || options.tokens_file) && (p.system || p.tools || p.think_given || p.raw || p.sound || p.frames.count || p.frames.fps))
        return usage("--tokens and --tokens-file take ids as they are", "leave out what belongs to a prompt");
    if (options.tokens) {
        LAP_ASSIGN(input.ids, parse_list("--tokens", *options.tokens, 0, INT32_MAX));
    } else if (options.tokens_file) {
        LAP_ASSIGN(input.ids, read_token_ids(*options.tokens_file));
    } else {
        if (sources == 0) LAP_TRY(check_model_named(model));
        LAP_ASSIGN(input.prompt, read_prompt(options.prompt));
    }
    return input;
}

Result<int64_t> write_rows(Program& program, Session& session, ResultFile& file, Rows rows) {
    int64_t written = 0;
    Result<void> problem;
    const auto sink = [&](int64_t, std::span<const float> row) {
        problem = file.write(row);
        if (!problem) return Flow::stop;
        ++written;
        return Flow::go;
    };
    const std::stop_token cancel = program.interrupt.token();
    Progress progress(program.console, program.interrupt);  // its clock starts here: loading is another's
    const Result<void> done = session.forward(
        {.rows = rows, .cancel = cancel, .progress = progress.sink(Progress::Unit::tokens)}, sink);
    if (!problem) return problem.error();  // the cause, not what the library says about being stopped
    if (!done) return done.error();
    if (cancel.stop_requested()) return Error{Errc::cancelled, "interrupted"};
    return written;
}

// The file of the rows: no input, and nothing else that would be lost.
Result<ResultFile> create_rows(const LogitsOptions& options, Inputs inputs, const EngineOptions& engine) {
    const std::filesystem::path out = *options.out;
    const Diagnostics& diagnostics = options.engine.diagnostics;
    if (out == "-") return ResultFile::create(out);  // whatever is called so
    add_inputs(inputs, engine);
    if (diagnostics.trace) inputs.add("the file of --trace", *diagnostics.trace);
    LAP_TRY(inputs.check("--out", options.out));
    LAP_TRY(check_overwrite(out, {"a file that this command wrote", was_written_here}, diagnostics.force));
    return ResultFile::create(out);
}

}  // namespace

Result<int> logits_verb(Program& program, Args args) {
    Console& console = program.console;
    LogitsOptions options;
    Command command("logits", "[MODEL] --tokens 2,105 --out FILE [options]",
                    "Scores of the next token, after the soft cap, before suppression.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, false));
    if (!options.out) return usage("--out FILE is missing", "the rows need a file");
    LAP_ASSIGN(const Input input, read_input(options, arguments.model));
    tell_notes(console, input.prompt.conversation.notes);
    const bool to_stdout = is_standard_output(*options.out);
    if (to_stdout && console.json) return usage("--json and --out - both write to standard output", "name a file");
    Inputs inputs = inputs_of(options.prompt, input.prompt);
    if (options.tokens_file) inputs.add("the file of the tokens", *options.tokens_file);
    LAP_ASSIGN(EngineOptions engine_opts,
               engine_options(console, options.engine, options.model, arguments.model, inputs));

    const Interrupt::Scope stoppable(program.interrupt);
    LAP_TRY(test_gpu_first(console, program.interrupt, engine_opts));
    Progress progress(console, program.interrupt);
    engine_opts.progress = progress.sink();
    if (!input.ids) engine_opts.needs = needs_of(input.prompt);
    LAP_ASSIGN(ResultFile file, create_rows(options, inputs, engine_opts));
    LAP_ASSIGN(const Engine engine, Engine::open(engine_opts));
    progress.clear();
    tell_notes(console, engine.info().notes);
    LAP_ASSIGN(const Prompt prompt,
               input.ids ? engine.tokens(*input.ids)
                         : render_prompt(engine, with_stored_system(console, engine, input.prompt), progress.sink(Progress::Unit::work)));
    progress.clear();
    LAP_ASSIGN(Session session, engine.new_session());
    LAP_TRY(session.append(prompt));
    LAP_ASSIGN(const int64_t rows, write_rows(program, session, file, options.all ? Rows::all : Rows::last));
    LAP_TRY(file.commit());

    const int32_t vocab = engine.info().vocab;
    const Diagnostics& diagnostics = options.engine.diagnostics;
    LAP_TRY(deliver(console, diagnostics, engine));
    if (console.json) {
        Json json = {{"prompt_tokens", prompt.ids()}, {"rows", rows}, {"vocab", vocab}, {"out", *options.out}};
        if (diagnostics.profile) add_profile(json, profile(engine), engine.info().untimed);
        console.write_json(json);
    } else if (to_stdout) {
        console.note(fmt::format("{} x {} f32", rows, vocab));
    } else {
        console.write_page(fmt::format("{}: {} x {} f32\n", *options.out, rows, vocab));
    }
    return 0;
}

}  // namespace lapidary::cli
