// `lapidary pack`: a model as one .lapidary file, quantised on the way if asked.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/cli/verbs.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/results.h"
#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxKldTokens = 512;
constexpr std::string_view kMagic = "LAPIDARY";  // begins every .lapidary file

struct PackVerbOptions {
    ModelOptions model;
    PackOptions pack;
    std::optional<std::string> kld_text;
    bool force = false;
};

void describe(Command& command, PackVerbOptions& options, Console& console) {
    command.heading("What is written: the matrices in the order that kernels read them, and all settings");
    add_model_options(command, options.model);
    add_type_option(command, options.pack.type, "quantise to q4_0, q8_0, q4_k, q6_k, bf16 or f16 (default: types stay)");
    command.flag("--force", options.force, "write over an OUT that is a .lapidary file; others are never");
    command.heading("Comparison of source and result, layer by layer in little memory");
    command.text("--kld", options.kld_text, "FILE", "mean KL divergence on this text");
    command.count("-c,--ctx", options.pack.kld_tokens, 2, kMaxKldTokens, "its first N tokens (default 512)");
    command.heading("Machine");
    command.count("-t,--threads", options.pack.threads, 1, kMaxThreads, "threads (default: every fast core)");
    command.heading("Output");
    add_output_options(command, console);
}

double relative_error(const PackedTensor& t) { return t.rms > 0 ? t.rmse / t.rms : 0; }

Json to_json(const Divergence& d) {
    return {{"kl_mean", d.mean.value},
            {"kl_mean_error", d.mean.error},
            {"kl_median", d.median},
            {"kl_p90", d.p90},
            {"kl_p99", d.p99},
            {"kl_max", d.max},
            {"same_top", d.same_top.value},
            {"same_top_error", d.same_top.error},
            {"perplexity", d.perplexity.value},
            {"base_perplexity", d.base_perplexity.value},
            {"tokens", d.positions}};
}

Json to_json(const PackOptions& options, const PackReport& report) {
    Json tensors = Json::array();
    for (const PackedTensor& t : report.tensors)
        tensors.push_back({{"name", t.name},
                           {"from", t.from},
                           {"to", t.to},
                           {"layout", t.panels ? "panels" : "rows"},
                           {"shape", t.shape},
                           {"bytes", t.bytes},
                           {"rms", t.rms},
                           {"rmse", t.rmse},
                           {"relative_error", relative_error(t)},
                           {"max_error", t.max_error}});
    Json json = {{"out", options.out.string()},         {"bytes", report.bytes},
                 {"source_bytes", report.source_bytes}, {"seconds", report.seconds},
                 {"tensors", std::move(tensors)},       {"kld", nullptr}};
    if (report.compared) {
        json["kld"] = to_json(report.divergence);
        json["kld"]["seconds"] = report.compare_seconds;
    }
    return json;
}

// For stderr: one line per tensor that was quantised, and one for all of them.
std::string errors_table(const std::vector<PackedTensor>& tensors) {
    Table table({Align::left, Align::left, Align::right, Align::right});
    table.row({"quantised", "types", "error / rms", "largest error"});
    double squares = 0, errors = 0, largest = 0;
    for (const PackedTensor& t : tensors) {
        if (t.from == t.to) continue;
        table.row({t.name, fmt::format("{} > {}", t.from, t.to),
                   fmt::format("{:.3f} %", 100 * relative_error(t)), fmt::format("{:.3g}", t.max_error)});
        double values = 1;
        for (const int64_t extent : t.shape) values *= static_cast<double>(extent);
        squares += values * t.rms * t.rms;
        errors += values * t.rmse * t.rmse;
        largest = std::max(largest, t.max_error);
    }
    if (squares == 0) return "";
    table.row({"all", "", fmt::format("{:.3f} %", 100 * std::sqrt(errors / squares)),
               fmt::format("{:.3g}", largest)});
    return table.text();
}

std::string page_of(const PackOptions& options, const PackReport& report) {
    size_t panels = 0;
    for (const PackedTensor& t : report.tensors) panels += t.panels;
    std::string page = fmt::format("{}: {} from {} · {} tensors, {} in panels · {:.1f} s\n", options.out.string(),
                        human_bytes(report.bytes), human_bytes(report.source_bytes), report.tensors.size(),
                        panels, report.seconds);
    if (!report.compared) return page;
    const Divergence& d = report.divergence;
    page += fmt::format(
        "KL divergence over {} tokens: mean {:.4g} ± {:.2g} nats · 99 % {:.4g} · max {:.4g} · same top token "
        "{:.1f} % · {:.1f} s\n",
        d.positions, d.mean.value, d.mean.error, d.p99, d.max, 100 * d.same_top.value,
        report.compare_seconds);
    return page;
}

// Quantised twice is worse than once: say so, as the file will not.
void note_requantised(const Console& console, const std::vector<PackedTensor>& tensors) {
    const std::set<std::string> whole = {"f32", "f16", "bf16"};
    std::set<std::string> types;
    size_t count = 0;
    for (const PackedTensor& t : tensors) {
        if (t.from == t.to || whole.count(t.from) > 0) continue;
        types.insert(t.from);
        count++;
    }
    if (count > 0)
        console.note(fmt::format(
            "note: {} tensors were quantised before ({}); what they lost then is not in the errors. "
            "The original checkpoint gives a better file.",
            count, fmt::join(types, ", ")));
}

// One argument alone is OUT, as of every verb; but not what can only have been meant as MODEL.
Result<void> check_out_named(const ModelOptions& model, const Arguments& arguments) {
    if (!arguments.own) return usage("OUT is missing", "name the .lapidary file to write");
    const std::string& out = *arguments.own;
    std::error_code ignored;
    const bool is_model =
        std::filesystem::exists(out, ignored) || (has_model_ending(out) && !out.ends_with(".lapidary"));
    if (model.positionals.size() == 1 && !model.model && is_model)
        return usage(fmt::format("OUT is missing behind {}", out),
                     "lapidary pack MODEL OUT.lapidary, or pack -m MODEL OUT.lapidary");
    return {};
}

}  // namespace

Result<int> pack_verb(Program& program, Args args) {
    Console& console = program.console;
    PackVerbOptions options;
    Command command("pack", "[MODEL] OUT.lapidary [options]",
                    "Writes a model as one file that is mapped in place and starts at once.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, true));
    LAP_TRY(check_out_named(options.model, arguments));
    PackOptions& work = options.pack;
    work.out = *arguments.own;
    LAP_TRY(check_target(work.out));
    // Perhaps the only copy of a model that took hours. What is no such file the library does not touch at all.
    if (beginning_of(work.out, kMagic.size()) == kMagic) LAP_TRY(check_overwrite(work.out, {}, options.force));
    if (options.kld_text) LAP_TRY(read_plain_text(*options.kld_text));
    warn_of_threads(console, work.threads);
    LAP_ASSIGN(work.model, resolve_model(console, arguments.model));
    if (options.model.mmproj) work.mmproj = *options.model.mmproj;
    if (options.kld_text) work.kld_text = *options.kld_text;

    const Interrupt::Scope stoppable(program.interrupt);
    Progress progress(console, program.interrupt);
    work.progress = progress.sink();
    LAP_ASSIGN(const PackReport report, pack(work));
    progress.clear();
    tell_notes(console, report.notes);
    note_requantised(console, report.tensors);
    if (console.json) return console.write_json(to_json(work, report)), 0;
    console.aside(errors_table(report.tensors));
    console.write_page(page_of(work, report));
    return 0;
}

}  // namespace lapidary::cli
