// `lapidary perplexity`: how well a model predicts a text.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/excerpt.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct PerplexityVerbOptions {
    ModelOptions model;
    EngineChoices engine;
    ExcerptOptions excerpt;
};

void describe(Command& command, PerplexityVerbOptions& options, Console& console) {
    add_excerpt_options(command, options.excerpt);
    command.heading("Model and machine");
    add_model_options(command, options.model);
    add_window_options(command, options.engine, options.excerpt);
    command.choice("--kv", options.engine.kv, {"f32", "f16", "q8_0"}, "format of the KV cache (default f16, or q8_0 where only that fits)");
    command.flag("--precise", options.engine.engine.precise, "f32 matmul inputs and f32 KV");
    command.heading("Output");
    add_output_options(command, console);
}

Json to_json(const PerplexityReport& report, bool precise) {
    Json json = {{"perplexity", report.perplexity.value},
                 {"perplexity_error", report.perplexity.error},
                 {"nll", report.nll.value},
                 {"nll_error", report.nll.error}};
    json.update(coverage_json(report.coverage));
    json.update(Json{{"model", report.model.name},
                     {"type", report.model.type},
                     {"kv", kv_name(report.model.kv)},
                     {"precise", precise},
                     {"isa", report.model.isa},
                     {"threads", report.model.threads},
                     {"seconds", report.seconds}});
    return json;
}

std::string page_of(const PerplexityReport& r, bool precise) {
    return fmt::format("perplexity {:.4f} ± {:.4f} · {:.4f} ± {:.4f} nats per token\n{} · {} {} · kv {}{}\n",
                       r.perplexity.value, r.perplexity.error, r.nll.value, r.nll.error,
                       coverage_text(r.coverage), r.model.name, r.model.type, kv_name(r.model.kv),
                       precise ? " · precise" : "");
}

}  // namespace

Result<int> perplexity_verb(Program& program, Args args) {
    Console& console = program.console;
    PerplexityVerbOptions options;
    Command command("perplexity", "[MODEL] FILE [options]",
                    "exp of the mean surprise at each token, with its standard error.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const Arguments arguments, split_model_and_file(options.model, options.excerpt.needs_file()));
    if (options.excerpt.needs_file() && !arguments.own) LAP_TRY(check_model_named(arguments.model));
    PerplexityOptions work;
    LAP_ASSIGN(work.excerpt, read_excerpt(options.excerpt, arguments.own));
    LAP_ASSIGN(work.engine, engine_options(console, options.engine, options.model, arguments.model));
    work.stride = options.excerpt.stride;

    const Interrupt::Scope stoppable(program.interrupt);
    LAP_TRY(test_gpu_first(console, program.interrupt, work.engine));
    Progress progress(console, program.interrupt);
    work.progress = progress.sink(Progress::Unit::tokens);
    work.engine.progress = progress.sink();
    work.cancel = program.interrupt.token();
    LAP_ASSIGN(const PerplexityReport report, perplexity(work));
    progress.clear();
    tell_notes(console, report.model.notes);
    if (console.json) {
        console.write_json(to_json(report, work.engine.precise));
    } else {
        console.write_page(page_of(report, work.engine.precise));
        console.note(fmt::format("{:.1f} s, {:.1f} tokens/s", report.seconds,
                                 static_cast<double>(report.coverage.tokens) / report.seconds));
    }
    return 0;
}

}  // namespace lapidary::cli
