// `lapidary bench`: speed of prompt and generation, beside what the machine could do at that moment.
#include <fmt/format.h>

#include <utility>

#include "apps/cli/verbs.h"
#include "apps/common/bench_output.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

struct BenchVerbOptions {
    ModelOptions model;
    EngineChoices engine;
    BenchOptions bench;
    std::vector<int32_t> threads = {0};  // 0: the library's choice
    std::string synthetic, type, output;  // type empty: the library's choice
};

constexpr int64_t kMaxBenchTokens = int64_t{1} << 20, kMaxBenchColumns = 512;

void sweep_option(Command& command, const std::string& names, std::vector<int>& target, int64_t low, int64_t high,
                  const std::string& description) {
    command.parsed(names, "LIST", description, target,
                   [=](const auto& option, const auto& text) { return parse_sweep(option, text, low, high); });
}

void describe(Command& command, BenchVerbOptions& options, Console& console) {
    command.heading("Tests, one for each number of LIST: 512 or 0,4096 or 512-4096*2 or 1-7+3");
    sweep_option(command, "-p,--prompt", options.bench.prompt, 0, kMaxBenchTokens,
                "prompt tokens; 0: none (default 512)");
    sweep_option(command, "-n,--generate", options.bench.generate, 0, kMaxBenchTokens,
                "generated tokens; 0: none (default 32)");
    sweep_option(command, "-d,--depth", options.bench.depth, 0, kMaxBenchTokens,
                "tokens in the context before (default 0)");
    command.flag("--fill", options.bench.fill, "make those up instead of computing them: for speed alone");
    sweep_option(command, "--columns", options.bench.columns, 1, kMaxBenchColumns,
                "steps of so many tokens, against one of one token");
    command.flag("--calibrate", options.bench.calibrate,
                 "measure rates as `tune` does, around every pass, for the planned t/s; they are not kept");
    command.count("-r,--repetitions", options.bench.repetitions, 1, 1000, "of each test (default 5)");
    sweep_option(command, "-t,--threads", options.threads, 1, 1024, "threads (default: every fast core)");
    add_phase_thread_options(command, options.engine.engine);
    command.heading("Model");
    add_model_options(command, options.model);
    command.choice("--synthetic", options.synthetic, {"12b", "tiny"}, "random weights in memory, no file");
    add_type_option(command, options.type, "of the synthetic weights: q4_0, q8_0, q4_k, q6_k, bf16, f16");
    command.count("--layers", options.bench.layers, 1, 1000, "of the synthetic model");
    add_context_option(command, options.engine.engine.context, "context in tokens (default: what the longest test needs)");
    command.choice("--kv", options.engine.kv, {"f32", "f16", "q8_0"}, "format of the KV cache (default f16, or q8_0 where only that fits)");
    command.flag("--precise", options.engine.engine.precise, "f32 matmul inputs and f32 KV");
    add_placement_options(command, options.engine);
    command.heading("Output");
    command.choice("-o,--output", options.output, {"md", "csv", "json", "jsonl"}, "form (default md; --json: jsonl)");
    add_diagnostic_options(command, options.engine.diagnostics);
    add_output_options(command, console);
}

// --output, or what --json says; JSON forms also report errors as JSON.
Result<BenchFormat> format_of(Console& console, const std::string& output) {
    const BenchFormat format = output == "csv"     ? BenchFormat::csv
                               : output == "json"  ? BenchFormat::json
                               : output == "jsonl" ? BenchFormat::jsonl
                                                   : BenchFormat::md;
    if (console.json && !output.empty() && format != BenchFormat::jsonl)
        return usage(fmt::format("--json and --output {} exclude each other", output), "--json is --output jsonl");
    if (console.json) return BenchFormat::jsonl;
    console.json = format == BenchFormat::json || format == BenchFormat::jsonl;
    return format;
}

Result<void> measure(Program& program, BenchVerbOptions& options, BenchPrinter& printer) {
    const Console& console = program.console;
    const BenchSink sink = [&](const BenchRow& row) {
        printer.row(row);
        return console.reader_gone() || !console.status() ? Flow::stop : Flow::go;
    };
    const auto& trace = options.engine.diagnostics.trace;
    if (trace) options.bench.trace = *trace;
    for (const int threads : options.threads) {
        warn_of_threads(console, threads);
        options.bench.engine.threads = threads;
        LAP_ASSIGN(const TraceReport report, bench(options.bench, sink));
        if (trace) note_trace(console, *trace, report);
        if (console.reader_gone() || program.interrupt.requested()) break;
    }
    printer.finish();
    return {};
}

Result<void> prepare(Program& program, BenchVerbOptions& options) {
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, false));
    std::erase(options.bench.prompt, 0);
    std::erase(options.bench.generate, 0);
    if (options.bench.prompt.empty() && options.bench.generate.empty() && options.bench.columns.empty())
        return usage("-p 0 and -n 0 leave nothing to measure");
    if (options.engine.diagnostics.trace && options.threads.size() > 1)
        return usage("--trace makes one file, and -t lists several thread counts");
    if (!options.synthetic.empty() && !arguments.model.empty())
        return usage(fmt::format("--synthetic excludes a model ({})", arguments.model));
    LAP_TRY(check_synthetic(!options.synthetic.empty(), options.bench.layers, options.type));
    if (!options.type.empty()) options.bench.type = options.type;
    // A synthetic model has no path, and must not fall back to the bundled one.
    const std::string name = options.synthetic.empty() ? arguments.model : options.synthetic;
    LAP_ASSIGN(options.bench.engine, engine_options(program.console, options.engine, options.model, name));
    if (!options.synthetic.empty()) options.bench.engine.model.clear();
    options.bench.synthetic = options.synthetic;
    options.bench.cancel = program.interrupt.token();
    return {};
}

}  // namespace

Result<int> bench_verb(Program& program, Args args) {
    Console& console = program.console;
    BenchVerbOptions options;
    Command command(
        "bench", "[MODEL] [options]",
        "Speed of prompt (pp), generation (tg) and steps of several tokens (cols), and what part of the machine's own\n"
        "speed it is. Timed is the forward pass on fixed pseudo-random tokens; tokenising and sampling are not in it.\n"
        "Between the pieces of every test all threads measure reading (50 ms) and int8 multiply-adds (20 ms).\n"
        "Planned is what `lapidary plan` would say of the test, by the rates that `tune` has kept or --calibrate measures.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const BenchFormat format, format_of(console, options.output));
    LAP_TRY(prepare(program, options));
    const Interrupt::Scope stoppable(program.interrupt);
    LAP_TRY(test_gpu_first(console, program.interrupt, options.bench.engine));
    Progress progress(console, program.interrupt);
    options.bench.engine.progress = progress.sink();
    options.bench.progress = [sink = progress.sink(Progress::Unit::work)](std::string_view stage, auto done, auto total) {
        return sink(fmt::format("bench {}", stage), done, total);
    };
    bool told = false;  // with several thread counts the model is opened several times
    options.bench.opened = [&](const ModelInfo& info) {
        if (!std::exchange(told, true)) tell_notes(console, info.notes);
    };
    BenchPrinter printer(console, format, options.engine.diagnostics.profile, !options.bench.columns.empty());
    LAP_TRY(measure(program, options, printer));
    return program.interrupt.requested() ? program.interrupt.exit_code() : 0;
}

}  // namespace lapidary::cli
