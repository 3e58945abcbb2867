// `lapidary bench`: speed of prompt and generation, beside what the machine could do at that moment.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/tables.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BenchVerbOptions {
    ModelOptions model;
    EngineChoices engine;
    BenchOptions bench;
    std::vector<int32_t> threads = {0};  // 0: the library's choice
    std::string synthetic;
};

constexpr int64_t kMaxBenchTokens = int64_t{1} << 20;

void list_option(Command& command, const std::string& names, std::vector<int>& target, int64_t low,
                 int64_t high, const std::string& description) {
    command.custom(names, "N,N", description,
                   [&target, low, high](const auto& option, const auto& text) -> Result<void> {
                       LAP_ASSIGN(target, parse_list(option, text, low, high));
                       return {};
                   });
}

void describe(Command& command, BenchVerbOptions& options, Console& console) {
    command.heading("Tests (lists make one test each)");
    list_option(command, "-p,--prompt", options.bench.prompt, 0, kMaxBenchTokens,
                "prompt tokens; 0: none (default 512)");
    list_option(command, "-n,--generate", options.bench.generate, 0, kMaxBenchTokens,
                "generated tokens; 0: none (default 32)");
    list_option(command, "-d,--depth", options.bench.depth, 0, kMaxBenchTokens,
                "tokens in the context before (default 0)");
    command.count("-r,--repetitions", options.bench.repetitions, 1, 1000, "of each test (default 5)");
    list_option(command, "-t,--threads", options.threads, 1, 1024, "threads (default: every core)");
    command.heading("Model");
    add_model_options(command, options.model);
    command.choice("--synthetic", options.synthetic, {"12b", "tiny"}, "random weights in memory, no file");
    command.custom("--type", "TYPE", "of the synthetic weights: q4_0, q8_0, q4_k, q6_k, bf16, f16",
                   [&options](const auto&, const auto& value) -> Result<void> {
                       options.bench.type = value;  // the library knows which types it can make
                       return {};
                   });
    command.count("--layers", options.bench.layers, 1, 1000, "of the synthetic model");
    command.count("-c,--ctx", options.engine.engine.context, 1, kMaxContext,
                  "context in tokens (default: what the longest test needs)", true);
    command.choice("--kv", options.engine.kv, {"f32", "f16", "q8_0"}, "format of the KV cache (default f16)");
    command.flag("--precise", options.engine.engine.precise, "f32 matmul inputs and f32 KV");
    command.choice("--placement", options.engine.placement, {"auto", "cpu", "gpu", "split"},
                   "where layers run");
    command.heading("Output");
    add_output_options(command, console);
}

Json share(double value, double machine) { return machine > 0 ? Json(100 * value / machine) : Json(nullptr); }
Json measured(double value) { return value > 0 ? Json(value) : Json(nullptr); }

Json to_json(const BenchRow& row) {
    return {{"schema", 1},
            {"test", row.test},
            {"n_prompt", row.n_prompt},
            {"n_gen", row.n_gen},
            {"depth", row.depth},
            {"reps", row.reps},
            {"tps_median", row.tps_median},
            {"tps_mean", row.tps_mean},
            {"tps_sd", row.tps_sd},
            {"gbps", row.gbps},
            {"gmacs", row.gmacs},
            {"machine_gbps", measured(row.machine_gbps)},
            {"machine_gmacs", measured(row.machine_gmacs)},
            {"pct_bandwidth", share(row.gbps, row.machine_gbps)},
            {"pct_int8_peak", share(row.gmacs, row.machine_gmacs)},
            {"cpu", row.cpu},
            {"isa", row.isa},
            {"gpu", nullptr},
            {"placement", row.placement},
            {"threads", row.threads},
            {"model", row.model},
            {"model_bytes", row.model_bytes},
            {"type", row.type},
            {"kv", row.kv},
            {"peak_rss_bytes", row.peak_rss_bytes},
            {"logits_hash", row.logits_hash}};
}

// Rows appear as they are measured, so the widths are fixed.
const std::vector<std::string> kColumns = {"model", "type", "threads", "test",  "t/s",
                                           "GB/s",  "% bw", "GMAC/s",  "% peak"};
const std::vector<size_t> kWidths = {18, 6, 7, 14, 17, 7, 5, 8, 6};

std::string percent(double value, double machine) {
    return machine > 0 ? fmt::format("{:.0f}", 100 * value / machine) : "-";
}

void print_row(Console& console, const BenchRow& row, bool first) {
    if (first) {
        std::string rule = "|";
        for (size_t i = 0; i < kWidths.size(); ++i)
            rule += std::string(kWidths[i] + (i == 0 ? 2 : 1), '-') + (i == 0 ? "|" : ":|");
        console.note(fmt::format("cpu {} · kernels {} · kv {}", row.cpu, row.isa, row.kv));
        console.write(markdown_row(kColumns, kWidths) + rule + "\n");
    }
    const std::string depth = row.depth > 0 ? fmt::format(" @ d{}", row.depth) : "";
    console.write(markdown_row({row.model, row.type, fmt::format("{}", row.threads), row.test + depth,
                                fmt::format("{:.2f} ± {:.2f}", row.tps_median, row.tps_sd),
                                fmt::format("{:.1f}", row.gbps), percent(row.gbps, row.machine_gbps),
                                fmt::format("{:.1f}", row.gmacs), percent(row.gmacs, row.machine_gmacs)},
                               kWidths));
}

Result<void> measure(Program& program, BenchVerbOptions& options) {
    bool first = true;
    const BenchSink sink = [&](const BenchRow& row) {
        if (program.console.json)
            program.console.write_json(to_json(row));
        else
            print_row(program.console, row, first);
        first = false;
        return program.console.reader_gone() || !program.console.status() ? Flow::stop : Flow::go;
    };
    for (const int threads : options.threads) {
        options.bench.engine.threads = threads;
        LAP_TRY(bench(options.bench, sink));
        if (program.console.reader_gone() || program.interrupt.requested()) break;
    }
    return {};
}

Result<void> prepare(Program& program, BenchVerbOptions& options) {
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, false));
    std::erase(options.bench.prompt, 0);
    std::erase(options.bench.generate, 0);
    if (options.bench.prompt.empty() && options.bench.generate.empty())
        return Error{Errc::invalid_argument, "-p 0 and -n 0 leave nothing to measure"};
    if (!options.synthetic.empty() && !arguments.model.empty())
        return Error{Errc::invalid_argument,
                     fmt::format("--synthetic excludes a model ({})", arguments.model)};
    if (options.synthetic.empty() && options.bench.layers > 0)
        return Error{Errc::invalid_argument, "--layers needs --synthetic", "a file has the layers it has"};
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
        "Speed of prompt (pp) and generation (tg), and what part of the machine's own speed it is.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(std::move(args)));
    if (!go) return console.write(command.help()), 0;
    LAP_TRY(prepare(program, options));
    const Interrupt::Scope stoppable(program.interrupt);
    Progress progress(console, program.interrupt);
    options.bench.engine.progress = progress.sink();
    LAP_TRY(measure(program, options));
    return program.interrupt.requested() ? exit_code(Errc::cancelled) : 0;
}

}  // namespace lapidary::cli
