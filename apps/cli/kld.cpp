// `lapidary kld`: how far a model's predictions are from another's, or from its own at other settings.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/excerpt.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct KldVerbOptions {
    ModelOptions model;
    EngineChoices engine;
    ExcerptOptions excerpt;
    std::optional<std::string> base;
    bool base_precise = false;
    std::string base_kv = "f16", base_placement;
};

void describe(Command& command, KldVerbOptions& options, Console& console) {
    add_excerpt_options(command, options.excerpt);
    command.heading("What is compared: MODEL with --kv and --precise, and the base with its own");
    add_model_options(command, options.model);
    command.choice("--kv", options.engine.kv, {"f32", "f16", "q8_0"}, "format of the KV cache (default f16, or q8_0 where only that fits)");
    command.flag("--precise", options.engine.engine.precise, "f32 matmul inputs and f32 KV");
    command.text("--base", options.base, "MODEL", "what it is compared with (default: the same model)");
    command.choice("--base-kv", options.base_kv, {"f32", "f16", "q8_0"},
                   "KV cache of the base (default f16)");
    command.choice("--base-placement", options.base_placement, {"cpu", "gpu"}, "where the base runs (default: as the model)");
    command.flag("--base-precise", options.base_precise, "f32 matmul inputs and f32 KV in the base");
    command.heading("Machine");
    add_window_options(command, options.engine, options.excerpt);
    command.heading("Output");
    add_output_options(command, console);
}

Json side(const ModelInfo& info, bool precise) {
    return {{"model", info.name}, {"type", info.type}, {"kv", kv_name(info.kv)}, {"precise", precise},
            {"gpu", info.gpu.empty() ? Json(nullptr) : Json(info.gpu)}};
}

void add(Json& json, const std::string& name, const Estimate& estimate) {
    json[name] = estimate.value;
    json[name + "_error"] = estimate.error;
}

Json to_json(const KldReport& report, const KldOptions& work) {
    const Divergence& d = report.divergence;
    Json json;
    add(json, "kl_mean", d.mean);
    json.update(Json{{"kl_median", d.median}, {"kl_p90", d.p90}, {"kl_p99", d.p99}, {"kl_max", d.max}});
    add(json, "same_top", d.same_top);
    add(json, "p_mean", d.p_mean);
    add(json, "p_rms", d.p_rms);
    add(json, "perplexity", d.perplexity);
    add(json, "base_perplexity", d.base_perplexity);
    add(json, "perplexity_ratio", d.ratio);
    json.update(coverage_json(report.coverage));
    json["reduced_rows"] = report.reduced_rows;
    json["tail_mass"] = report.tail_mass;
    add(json, "kl_understated", report.understated);
    json["model"] = side(report.model, work.model.precise);
    json["base"] = side(report.base, work.base.precise);
    json["isa"] = report.model.isa;
    json["threads"] = report.model.threads;
    json["seconds"] = report.seconds;
    return json;
}

std::string plus_minus(const Estimate& e, double scale = 1) {
    return fmt::format("{:.4g} ± {:.2g}", e.value * scale, e.error * scale);
}

std::string name(const ModelInfo& info, bool precise) {
    return fmt::format("{} {} · kv {}{}{}", info.name, info.type, kv_name(info.kv), precise ? " · precise" : "",
                       info.gpu.empty() ? "" : " · " + info.gpu);
}

std::string page_of(const KldReport& report, const KldOptions& work) {
    const Divergence& d = report.divergence;
    Table table({Align::left, Align::left});
    table.row({"model", name(report.model, work.model.precise)});
    table.row({"base", name(report.base, work.base.precise)});
    table.row({"text", coverage_text(report.coverage)});
    table.row({"mean KL", plus_minus(d.mean) + " nats"});
    table.row({"KL quantiles", fmt::format("median {:.4g} · 90 % {:.4g} · 99 % {:.4g} · max {:.4g}", d.median,
                                           d.p90, d.p99, d.max)});
    table.row({"same top token", plus_minus(d.same_top, 100) + " %"});
    table.row({"p of true token",
               fmt::format("mean {} % · rms {} %", plus_minus(d.p_mean, 100), plus_minus(d.p_rms, 100))});
    table.row({"perplexity", fmt::format("{} · base {} · ratio {:.6g} ± {:.2g}", plus_minus(d.perplexity),
                                         plus_minus(d.base_perplexity), d.ratio.value, d.ratio.error)});
    if (report.reduced_rows > 0)
        table.row(
            {"kept of base",
             fmt::format("{} of {} rows reduced, {:.3g} % outside: KL understated by {}", report.reduced_rows,
                         report.coverage.tokens, 100 * report.tail_mass, plus_minus(report.understated))});
    return table.text();
}

Result<KldOptions> prepare(Program& program, const KldVerbOptions& options) {
    LAP_ASSIGN(const Arguments arguments, split_model_and_file(options.model, options.excerpt.needs_file()));
    if (options.excerpt.needs_file() && !arguments.own) LAP_TRY(check_model_named(arguments.model));
    KldOptions work;
    LAP_ASSIGN(work.excerpt, read_excerpt(options.excerpt, arguments.own));
    const bool same_settings =
        options.base_precise == options.engine.engine.precise && (options.base_kv == (options.engine.kv.empty() ? "f16" : options.engine.kv)) &&
        options.base_placement.empty();
    if (!options.base && same_settings)
        return usage("the base is the model itself, with the same settings",
                     "name another with --base, or other settings with --base-precise, --base-kv or --base-placement");
    LAP_ASSIGN(work.model, engine_options(program.console, options.engine, options.model, arguments.model));
    work.base = work.model;
    work.base.kv = kv_format(options.base_kv);
    work.base.precise = options.base_precise;
    if (!options.base_placement.empty()) work.base.placement = placement_of(options.base_placement);
    if (!options.base_placement.empty()) work.base.gpu_layers.reset(), work.base.gpu_share.reset();
    if (options.base_placement == "cpu") work.base.device.clear();
    if (options.base) {
        LAP_ASSIGN(work.base.model, resolve_model(program.console, *options.base));
        work.base.mmproj.clear();  // --mmproj is MODEL's
    }
    work.stride = options.excerpt.stride;
    work.cancel = program.interrupt.token();
    return work;
}

}  // namespace

Result<int> kld_verb(Program& program, Args args) {
    Console& console = program.console;
    KldVerbOptions options;
    Command command("kld", "[MODEL] --base OTHER FILE [options]",
                    "Kullback-Leibler divergence of a model's predictions from a base's.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(KldOptions work, prepare(program, options));

    const Interrupt::Scope stoppable(program.interrupt);
    for (const EngineOptions* engine : {&work.model, &work.base}) LAP_TRY(test_gpu_first(console, program.interrupt, *engine));
    Progress progress(console, program.interrupt);
    work.progress = progress.sink(Progress::Unit::tokens);
    work.model.progress = work.base.progress = progress.sink();
    LAP_ASSIGN(const KldReport report, kld(work));
    progress.clear();
    std::vector<std::string> notes = report.model.notes;
    for (const std::string& note : report.base.notes)
        if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
    tell_notes(console, notes);
    if (console.json) {
        console.write_json(to_json(report, work));
    } else {
        console.write_page(page_of(report, work));
        console.note(fmt::format("{:.1f} s", report.seconds));
    }
    return 0;
}

}  // namespace lapidary::cli
