// `lapidary tokenize`: text, or a whole conversation, to token ids.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/prompt.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct TokenizeVerbOptions {
    ModelOptions model;
    PromptOptions prompt;  // only text and messages have options here
    TokenizeOptions tokenize;
};

void describe(Command& command, TokenizeVerbOptions& options, Console& console) {
    command.text("-p,--prompt", options.prompt.text, "TEXT",
                 "the text, instead of the argument; - is stdin");
    command.text("-f,--file", options.prompt.file, "FILE", "the text, from a file; - reads stdin");
    command.flag("--special", options.tokenize.special, "read <bos>, <|turn> and the like as control tokens");
    command.flag("--bos", options.tokenize.bos, "put the beginning-of-sequence id in front");
    command.text("--messages", options.prompt.messages, "FILE",
                 "render a conversation: prompt and ids as JSON");
    add_tools_option(command, options.prompt);
    command.choice("--think", options.prompt.think, {"on", "off"}, "with --messages (default off)");
    add_model_options(command, options.model);
    add_output_options(command, console);
}

// The argument, -p or -f; - is standard input, which also joins a text that it stands behind. Empty texts have no ids.
Result<std::string> text_of(const PromptOptions& prompt) {
    const bool given = prompt.text && *prompt.text != "-";
    if (prompt.text && prompt.file)
        return usage("the text was given as text and as --file", "give one of them");
    if (!given && !prompt.text && !prompt.file && !prompt.then_stdin && stdin_is_terminal())
        return usage("there is no text", "give it as an argument or through a pipe");
    std::string text = prompt.text.value_or("");
    if (given) LAP_TRY(check_plain_text(text, "the text"));
    if (prompt.file) {
        LAP_ASSIGN(text, read_plain_text(*prompt.file));
    }
    if ((given || prompt.file) && !prompt.then_stdin) return text;
    LAP_ASSIGN(const std::string read, read_plain_text("-"));
    return given || prompt.file ? text + "\n" + read : read;
}

Result<int> print_conversation(Console& console, const Engine& engine, const PromptSource& source) {
    LAP_ASSIGN(const Prompt prompt, engine.render(source.conversation));
    console.write_json({{"prompt", prompt.text()}, {"ids", prompt.ids()}});
    return 0;
}

Result<int> print_ids(Console& console, const Engine& engine, const std::string& text,
                      const TokenizeOptions& options) {
    LAP_ASSIGN(const std::vector<int32_t> ids, engine.tokenize(text, options));
    if (!console.json) return console.write(fmt::format("{}\n", fmt::join(ids, ","))), 0;
    Json pieces = Json::array();
    for (const int32_t id : ids) {
        LAP_ASSIGN(std::string piece, engine.piece(id));
        pieces.push_back(std::move(piece));
    }
    console.write_json({{"ids", ids}, {"pieces", std::move(pieces)}});
    return 0;
}

}  // namespace

Result<int> tokenize_verb(Program& program, Args args) {
    Console& console = program.console;
    TokenizeVerbOptions options;
    Command command("tokenize", "[MODEL] TEXT [-] [options]",
                    "Text to token ids, on one line. An argument alone is the model when it exists or looks like one, "
                    "else the text.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    const bool takes_text = !options.prompt.messages;
    if (takes_text && options.prompt.tools)
        return usage("--tools needs --messages", "a text alone has no place for declarations");
    if (takes_text && options.prompt.think == "on") return usage("--think needs --messages", "a text alone has no turns");
    if (!takes_text && (options.tokenize.bos || options.tokenize.special))
        return usage(fmt::format("--messages excludes --{}", options.tokenize.bos ? "bos" : "special"), "a conversation has these by itself");
    take_stdin_mark(options.prompt, options.model.positionals);
    LAP_ASSIGN(const Arguments arguments,
               split_model_and_text(options.model, !takes_text || options.prompt.text || options.prompt.file));
    if (arguments.own) options.prompt.text = *arguments.own;
    const bool named = options.prompt.text || options.prompt.file || options.prompt.messages;
    if (!named) LAP_TRY(check_model_named(arguments.model));

    PromptSource conversation;
    std::string text;
    if (takes_text) {
        LAP_ASSIGN(text, text_of(options.prompt));
    } else {
        options.prompt.think_given = options.prompt.think == "on";
        LAP_ASSIGN(conversation, read_prompt(options.prompt));
        tell_notes(console, conversation.conversation.notes);
    }
    EngineOptions engine_opts;
    engine_opts.prompts_only = true;
    engine_opts.needs = takes_text ? Needs{.text = true} : needs_of(conversation);
    if (options.model.mmproj) engine_opts.mmproj = *options.model.mmproj;
    LAP_ASSIGN(engine_opts.model, resolve_model(console, arguments.model));
    LAP_ASSIGN(const Engine engine, Engine::open(engine_opts));
    tell_notes(console, engine.info().notes);
    if (takes_text) return print_ids(console, engine, text, options.tokenize);
    return print_conversation(console, engine, with_stored_system(console, engine, std::move(conversation)));
}

}  // namespace lapidary::cli
