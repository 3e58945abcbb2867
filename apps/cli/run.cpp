// `lapidary run`: one prompt in, one answer out, streamed to stdout as it comes.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/numbers.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/prompt.h"
#include "base/describe.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

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
    command.heading("Output");
    add_output_options(command, console);
}

double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

// What the clock and the counters say about one reply.
struct Speed {
    double prefill_tps, decode_tps, decode_gbps;
};
Speed speed_of(const Reply& reply) {
    const Timings& t = reply.timings;
    // The first token comes out of the prefill; the others cost one decoding step each.
    const uint32_t steps = reply.usage.generated > 0 ? reply.usage.generated - 1 : 0;
    return {per_second(reply.usage.prompt - reply.usage.cached, t.prefill_s), per_second(steps, t.decode_s),
            per_second(static_cast<double>(t.decode_bytes) / 1e9, t.decode_s)};
}

const char* finish_name(FinishReason reason) {
    switch (reason) {
        case FinishReason::stop: return "stop";
        case FinishReason::length: return "length";
        case FinishReason::tool_calls: return "tool_call";
        case FinishReason::cancelled: return "cancelled";
    }
    return "stop";
}

// In the form that --messages takes back.
Json to_json(const std::vector<ToolCall>& calls) {
    Json list = Json::array();
    for (const ToolCall& call : calls)
        list.push_back({{"id", call.id},
                        {"type", "function"},
                        {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    return list;
}

Json to_json(const Reply& reply, const Prompt& prompt, const ModelInfo& info) {
    const Speed speed = speed_of(reply);
    return {{"text", reply.text},
            {"thinking", reply.thinking},
            {"tool_calls", to_json(reply.tool_calls)},
            {"broken_calls", reply.broken_calls},
            {"finish", finish_name(reply.finish)},
            {"prompt_tokens", prompt.ids()},
            {"tokens", reply.tokens},
            {"seed", reply.seed},
            {"usage",
             {{"prompt", reply.usage.prompt},
              {"cached", reply.usage.cached},
              {"generated", reply.usage.generated}}},
            {"timings",
             {{"load_s", info.load_seconds},
              {"prefill_s", reply.timings.prefill_s},
              {"decode_s", reply.timings.decode_s},
              {"prefill_tps", speed.prefill_tps},
              {"decode_tps", speed.decode_tps},
              {"decode_gbps", speed.decode_gbps},
              {"ttft_s", reply.timings.ttft_s}}}};
}

// Stopped before the prompt was through: nothing else has happened. `computed`: tokens of it.
std::string stopped_line(const Reply& reply, uint64_t computed) {
    return fmt::format("prompt {} of {} tok computed │ stopped", computed, reply.usage.prompt);
}

std::string timing_line(const Reply& reply, const ModelInfo& info) {
    const Speed speed = speed_of(reply);
    const Usage& usage = reply.usage;
    const std::string cached = usage.cached > 0 ? fmt::format(" ({} cached)", usage.cached) : "";
    // The last token of a full context has no place in it.
    const double filled = std::min(100.0, 100.0 * (usage.prompt + usage.generated) / std::max(info.context, 1u));
    // A reply of one token has no step of its own to measure.
    const std::string decoding =
        reply.timings.decode_steps == 0
            ? ""
            : fmt::format(" · {} tok/s · {} GB/s", three_digits(speed.decode_tps), three_digits(speed.decode_gbps));
    return fmt::format("prompt {} tok{} · {} tok/s │ first token {} s │ reply {} tok{} │ ctx {:.0f} %{}", usage.prompt,
                       cached, three_digits(speed.prefill_tps), three_digits(reply.timings.ttft_s), usage.generated, decoding,
                       filled, reply.finish == FinishReason::cancelled ? " │ stopped" : "");
}

// Why the reply ends before the model ended it; empty where it did not.
std::string cut_note(const Reply& reply, const ModelInfo& info) {
    if (reply.finish != FinishReason::length) return "";
    const char* place = !reply.in_thought ? "" : reply.text.empty() ? " inside a thought, before any answer"
                                                                    : " inside a thought";
    return fmt::format("note: the reply was cut{}: {}", place,
                       reply.context_full
                           ? fmt::format("the context of {} tokens is full; --ctx sets it", info.context)
                           : fmt::format("{} tokens are the most asked for; --max-tokens sets it",
                                         reply.usage.generated));
}

// Sends the answer, and calls of tools, a line each, to stdout, and the thoughts, dimmed, to stderr.
class Stream {
  public:
    explicit Stream(Console& console) : console_(console) {}

    Flow take(const Token& token) {
        if (!token.thinking.empty()) {
            if (!thinking_) console_.dim(true);
            thinking_ = true;
            console_.aside_reply(token.thinking);
        }
        if (!token.text.empty() && !answer(token.text)) return Flow::stop;
        if (!token.tool_call) return Flow::go;
        const bool mid_line = wrote_ && !ends_line_;
        return answer(fmt::format("{}{} {}\n", mid_line ? "\n" : "", token.tool_call->name, token.tool_call->arguments))
                   ? Flow::go
                   : Flow::stop;
    }

    // The answer ends its line, whatever ended the answer; where an error came before it, there is no line.
    void finish(bool answered) {
        end_thoughts();
        if (wrote_ ? !ends_line_ : answered) console_.write("\n");
    }

  private:
    bool answer(std::string_view text) {
        end_thoughts();
        wrote_ = true;
        ends_line_ = text.back() == '\n';
        return console_.write_reply(text);
    }

    void end_thoughts() {
        if (!thinking_) return;
        console_.dim(false);
        console_.aside("\n");
        thinking_ = false;
    }

    Console& console_;
    bool thinking_ = false, wrote_ = false, ends_line_ = false;
};

void show_timing(const Console& console, const std::string& line) {
    console.dim(true);
    console.aside(line);
    console.dim(false);
    console.aside("\n");
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
    Stream stream(console);
    TokenSink sink = [&stream](const Token& token) { return stream.take(token); };
    Result<Reply> reply = session.generate(options, console.json ? TokenSink{} : sink);
    if (!console.json) stream.finish(reply.has_value() && !reply->tokens.empty());
    if (!reply) return reply.error();
    LAP_TRY(deliver(console, diagnostics, engine));
    if (console.json) {
        Json json = to_json(*reply, prompt, engine.info());
        if (diagnostics.profile) add_profile(json, profile(engine), engine.info().untimed);
        console.write_json(json);
    }
    const bool in_prompt = reply->finish == FinishReason::cancelled && reply->usage.generated == 0;
    if (!console.json)
        show_timing(console, in_prompt ? stopped_line(*reply, computed) : timing_line(*reply, engine.info()));
    if (const std::string cut = cut_note(*reply, engine.info()); !cut.empty()) console.note(cut);
    for (const std::string& call : reply->broken_calls)
        console.note("note: a call that is cut or cannot be read: " + in_quotes(call));
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
