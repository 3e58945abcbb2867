// The verb `plan`: where a model's parts would live, what they take, and how fast that should be.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/cli/verbs.h"
#include "apps/common/arguments.h"
#include "apps/common/numbers.h"
#include "apps/common/options.h"
#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct PlanVerbOptions {
    ModelOptions model;
    EngineChoices engine;
    PlanOptions plan;
    std::vector<uint32_t> contexts;
    std::optional<std::string> machine;
    std::string type;
    bool conversation = false;
};

void describe(Command& command, PlanVerbOptions& options, Console& console) {
    command.custom("-c,--ctx", "N[,N...]", "context in tokens, 8k works too (default 8k); a row for each of several",
                   [&options](const auto& option, const std::string& text) -> Result<void> {
        std::istringstream words(text);
        for (std::string word; std::getline(words, word, ',');) {
            LAP_ASSIGN(const uint32_t context, parse_context(option, word));
            options.contexts.push_back(context);
        }
        return options.contexts.empty() ? Result<void>(usage(fmt::format("{} is empty", option))) : Result<void>();
    });
    command.flag("--conversation", options.conversation, "with the checkpoint that chat keeps of each session");
    command.text("--machine", options.machine, "NAME", "a modelled laptop instead of this machine; all: a table; list: their names");
    command.choice("--synthetic", options.plan.synthetic, {"12b", "tiny"}, "shapes of that size, no file");
    add_type_option(command, options.type, "of the synthetic weights: q4_0, q8_0, q4_k, q6_k, bf16, f16");
    command.count("--layers", options.plan.layers, 1, 1000, "of the synthetic model");
    add_output_options(command, console);
    command.heading("Model and machine");
    add_model_options(command, options.model);
    add_engine_options(command, options.engine, ContextOption::of_the_verb);
}

Json rate(double value) { return value > 0 ? Json(std::round(value * 100) / 100) : Json(nullptr); }

Json to_json(const PlanOption& o) {
    Json out = {{"kind", o.kind}, {"text", o.text}, {"fits", o.fits}, {"prefill_tps", rate(o.prefill_tps)}, {"decode_tps", rate(o.decode_tps)}};
    if (o.kind == "rows") out["shares"] = {{"prefill", o.prefill_share}, {"decode", o.decode_share}};
    return out;
}

Json to_json(const Plan& plan) {
    Json regions = Json::array(), layers = Json::array(), options = Json::array(), remedies = Json::array();
    for (const PlanRegion& r : plan.regions) {
        Json& region = regions.emplace_back(Json{{"name", r.name}, {"where", r.where}, {"bytes", r.bytes}});
        if (!r.note.empty()) region["note"] = r.note;
    }
    for (const PlanLayers& l : plan.layers) layers.push_back({{"first", l.first}, {"last", l.last}, {"device", l.gpu ? 1 : 0}});
    for (const PlanOption& o : plan.options) options.push_back(to_json(o));
    for (const PlanRemedy& r : plan.remedies) remedies.push_back({{"text", r.text}, {"saves_bytes", r.saves_bytes}, {"enough", r.enough}});
    return {{"fits", plan.fits}, {"budget_bytes", plan.budget_bytes}, {"total_bytes", plan.total_bytes},
            {"gpu_budget_bytes", plan.gpu_budget_bytes}, {"gpu_bytes", plan.gpu_bytes}, {"model", plan.model}, {"type", plan.type},
            {"machine", plan.machine}, {"context", plan.context}, {"kv", plan.kv}, {"placement", to_json(plan.placement)},
            {"regions", regions}, {"layers", layers},
            {"expected", {{"prefill_tps", rate(plan.placement.prefill_tps)}, {"decode_tps", rate(plan.placement.decode_tps)}, {"full_decode_tps", rate(plan.full_decode_tps)}}},
            {"options", options}, {"why", plan.why}, {"remedies", remedies}};
}

std::string speed(double value) { return value > 0 ? three_digits(value) : "-"; }

std::string page_of(const Plan& plan) {
    std::string page = fmt::format("{} · {}\nmachine   {}\nbudget    {}\n\n", plan.model, plan.type, plan.machine,
                                   human_bytes(plan.budget_bytes));
    Table table({Align::left, Align::left, Align::right, Align::left});
    table.row({"region", "where", "bytes", "note"});
    for (const PlanRegion& r : plan.regions) table.row({r.name, r.where, human_bytes(r.bytes), r.note});
    const bool spare = plan.total_bytes <= plan.budget_bytes;
    table.row({"total", "", human_bytes(plan.total_bytes),
               fmt::format("{} {}", human_bytes(spare ? plan.budget_bytes - plan.total_bytes : plan.total_bytes - plan.budget_bytes),
                           spare ? "to spare" : "too many")});
    page += table.text();
    page += fmt::format("\nplacement {}\n", plan.placement.text);
    if (plan.placement.decode_tps > 0)
        page += fmt::format("expected  prefill {} tokens/s · decode {} tokens/s, {} at the end of the context\n",
                            speed(plan.placement.prefill_tps), speed(plan.placement.decode_tps), speed(plan.full_decode_tps));
    const char* label = "why      ";
    for (const std::string& why : plan.why) {
        page += fmt::format("{} {}\n", label, why);
        label = "         ";
    }
    if (!plan.fits) page += "\nIt does not fit. What would help, the least loss first:\n";
    for (const PlanRemedy& r : plan.remedies)
        page += fmt::format("  {} ({}{})\n", r.text, human_bytes(r.saves_bytes), r.enough ? "" : ", not enough alone");
    return page;
}

// A line for each context, with the placement taken.
std::string contexts_table(const std::vector<Plan>& plans) {
    Table table({Align::right, Align::left, Align::right, Align::left, Align::right, Align::right, Align::right, Align::left});
    table.row({"context", "kv", "bytes", "fits", "prefill t/s", "decode t/s", "at its end", "placement"});
    for (const Plan& p : plans)
        table.row({std::to_string(p.context), p.kv, human_bytes(p.total_bytes), p.fits ? "yes" : "no", speed(p.placement.prefill_tps),
                   speed(p.placement.decode_tps), speed(p.full_decode_tps), p.placement.text});
    return table.text();
}

// Every machine with the best of each kind of placement; a star at the one taken.
std::string machines_table(const std::vector<Plan>& plans) {
    Table table({Align::left, Align::right, Align::left, Align::left, Align::right, Align::right});
    table.row({"machine", "context", "placement", "fits", "prefill t/s", "decode t/s"});
    for (const Plan& p : plans)
        for (const PlanOption& o : p.options)
            table.row({p.machine, std::to_string(p.context), (o.kind == p.placement.kind && p.fits ? "* " : "  ") + o.text,
                       o.fits ? "yes" : "no", speed(o.prefill_tps), speed(o.decode_tps)});
    return table.text();
}

std::string names_of_machines() {
    Table table({Align::left, Align::left});
    for (const PlanMachine& m : plan_machines()) table.row({m.name, m.description});
    return table.text();
}

}  // namespace

Result<int> plan_verb(Program& program, Args args) {
    Console& console = program.console;
    PlanVerbOptions options;
    Command command("plan", "[MODEL] [options]", "Where a model would live on this machine, what that takes, and how fast it should be.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    if (options.machine == "list") {
        if (!console.json) return console.write_page(names_of_machines()), 0;
        Json machines = Json::array();
        for (const PlanMachine& m : plan_machines()) machines.push_back({{"name", m.name}, {"description", m.description}});
        return console.write_json({{"machines", machines}}), 0;
    }
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, false));
    const bool synthetic = !options.plan.synthetic.empty();
    if (synthetic && !arguments.model.empty()) return usage(fmt::format("--synthetic excludes a model ({})", arguments.model));
    LAP_TRY(check_synthetic(synthetic, options.plan.layers, options.type));
    if (!options.type.empty()) options.plan.type = options.type;
    // A synthetic model has no path, and must not fall back to the bundled one.
    LAP_ASSIGN(options.plan.engine,
               engine_options(console, options.engine, options.model, synthetic ? options.plan.synthetic : arguments.model));
    if (synthetic) options.plan.engine.model.clear();
    options.plan.engine.conversations = options.conversation;
    std::vector<std::string> machines = {options.machine.value_or("")};
    if (options.machine == "all") {
        machines.clear();
        for (const PlanMachine& m : plan_machines()) machines.push_back(m.name);
    }
    if (options.contexts.empty()) options.contexts = {0};
    std::vector<Plan> plans;
    for (const std::string& machine : machines)
        for (const uint32_t context : options.contexts) {
            options.plan.machine = machine;
            options.plan.engine.context = context;
            LAP_ASSIGN(Plan made, plan(options.plan));
            if (console.json) console.write_json(to_json(made));
            plans.push_back(std::move(made));
        }
    if (!console.json)
        console.write_page(machines.size() > 1 ? machines_table(plans) : plans.size() > 1 ? contexts_table(plans) : page_of(plans.front()));
    return std::any_of(plans.begin(), plans.end(), [](const Plan& p) { return p.fits; }) ? 0 : 4;
}

}  // namespace lapidary::cli
