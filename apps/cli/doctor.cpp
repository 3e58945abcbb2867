// `lapidary doctor`: what this machine offers, what the program makes of it, and advice.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/verbs.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json object_of(const std::vector<std::pair<std::string, Value>>& fields) {
    Json out = Json::object();
    for (const auto& [name, value] : fields) out[name] = value;
    return out;
}

Json gpus_json(const std::vector<GpuReport>& gpus) {
    Json out = Json::array();
    for (const GpuReport& g : gpus) {
        Json heaps = Json::array();
        for (const GpuHeap& h : g.heaps)
            heaps.push_back({{"bytes", h.bytes}, {"budget_bytes", h.budget_bytes}, {"device_local", h.device_local}});
        out.push_back({{"index", g.index},
                       {"name", g.name},
                       {"type", g.type},
                       {"driver", g.driver},
                       {"api", g.api},
                       {"usable", g.reasons.empty()},
                       {"reasons", g.reasons},
                       {"software", g.software},
                       {"unified", g.unified},
                       {"heaps", heaps},
                       {"features", object_of(g.features)},
                       {"matrices", g.matrices},
                       {"limits", object_of(g.limits)},
                       {"verdicts", verdicts_json(g.verdicts)}});
    }
    return out;
}

Json to_json(const DoctorReport& report) {
    Json isa = Json::array(), kernels = Json::array(), race = Json::array();
    for (const IsaReport& r : report.isa)
        isa.push_back({{"name", r.name},
                       {"built", r.built},
                       {"supported", r.supported},
                       {"selected", r.selected},
                       {"int8_instruction", r.int8_instruction.empty() ? Json(nullptr) : Json(r.int8_instruction)}});
    for (const KernelReport& k : report.kernels)
        kernels.push_back({{"op", k.op}, {"isa", k.isa}, {"function", k.function}});
    for (const RaceReport& r : report.race)
        race.push_back({{"format", r.format},
                        {"columns", r.few_columns ? "few" : "many"},
                        {"isa", r.isa},
                        {"gmacs", r.gmacs},
                        {"won", r.won}});
    const bool limited = report.memory_limit_bytes > 0;
    return {{"version", report.version},
            {"cpu", report.cpu},
            {"cores", report.cores},
            {"threads", report.threads},
            {"isa", isa},
            {"memory",
             {{"total_bytes", report.memory_total_bytes},
              {"free_bytes", report.memory_free_bytes},
              {"limit_bytes", report.memory_limit_bytes},
              {"limit_left_bytes", limited ? Json(report.memory_limit_left_bytes) : Json(nullptr)},
              {"limit_from", limited ? Json(report.memory_limit_from) : Json(nullptr)},
              {"swap_free_bytes", report.swap_free_bytes}}},
            {"power",
             {{"state", report.power},
              {"on_battery", report.on_battery},
              {"profile", report.power_profile.empty() ? Json(nullptr) : Json(report.power_profile)}}},
            {"gpu", report.gpu},
            {"gpus", gpus_json(report.gpus)},
            {"kernels", kernels},
            {"race", race},
            {"advice", report.advice}};
}

const char* yes_no(bool value) { return value ? "yes" : "no"; }

// One line a fact, below the name.
std::string gpu_text(const GpuReport& g) {
    std::string page = fmt::format("\n{:<2} {} · {} · Vulkan {} · {}{}\n", g.index, g.name, g.type, g.api, g.driver,
                                   g.unified ? " · one memory with the CPU" : "");
    for (const std::string& reason : g.reasons) page += fmt::format("   not used: {}\n", reason);
    if (g.reasons.empty() && g.software) page += "   used only when --device names it\n";
    for (const GpuHeap& h : g.heaps) {
        const std::string budget = h.budget_bytes > 0 ? fmt::format(", {} of it lent", human_bytes(h.budget_bytes)) : "";
        page += fmt::format("   memory   {}{}{}\n", human_bytes(h.bytes), h.device_local ? " of its own" : "", budget);
    }
    std::vector<std::string> features, limits;
    for (const auto& [name, has] : g.features)
        if (has) features.push_back(name);
    for (const auto& [name, value] : g.limits) limits.push_back(fmt::format("{} {}", name, value));
    if (!features.empty()) page += fmt::format("   features {}\n", fmt::join(features, ", "));
    if (!g.matrices.empty()) page += fmt::format("   matrices {}\n", fmt::join(g.matrices, ", "));
    constexpr size_t kOfALine = 4;
    for (size_t i = 0; i < limits.size(); i += kOfALine) {
        const auto end = std::min(limits.size(), i + kOfALine);
        page += fmt::format("   {:<8} {}\n", i == 0 ? "limits" : "", fmt::join(&limits[i], &limits[i] + (end - i), ", "));
    }
    if (g.reasons.empty()) page += verdicts_text(g.verdicts, 3);
    return page;
}

std::string page_of(const DoctorReport& report, bool kernels) {
    const std::string limit =
        report.memory_limit_bytes == 0
            ? ""
            : fmt::format(", this process may use {}\n         {} left below the limit of {}",
                          human_bytes(report.memory_limit_bytes), human_bytes(report.memory_limit_left_bytes),
                          report.memory_limit_from);
    std::string page = fmt::format("lapidary {}\n", report.version);
    page += fmt::format("cpu      {} · {} cores · {} threads\n", report.cpu, report.cores, report.threads);
    page += fmt::format("memory   {}, {} free{}\n", human_bytes(report.memory_total_bytes),
                        human_bytes(report.memory_free_bytes), limit);
    page += fmt::format("gpu      {}\n", report.gpu);
    page += fmt::format("power    {}\n\n", report.power);
    Table isa({Align::left, Align::left, Align::left, Align::left, Align::left});
    isa.row({"kernels", "built", "supported", "selected", "int8 peak by"});
    for (const IsaReport& r : report.isa)
        isa.row({r.name, yes_no(r.built), yes_no(r.supported), yes_no(r.selected), r.int8_instruction});
    page += isa.text();
    if (!report.race.empty()) {
        Table race({Align::left, Align::left, Align::left, Align::right, Align::left});
        race.row({"start-up race", "columns", "isa", "GMAC/s of a thread", ""});
        for (const RaceReport& r : report.race)
            race.row({r.format, r.few_columns ? "few" : "many", r.isa, fmt::format("{:.0f}", r.gmacs), r.won ? "serves" : ""});
        page += fmt::format("\n{}", race.text());
    }
    for (const GpuReport& gpu : report.gpus) page += gpu_text(gpu);
    if (kernels) {
        Table table({Align::left, Align::left, Align::left});
        table.row({"operation", "isa", "function"});
        for (const KernelReport& k : report.kernels) table.row({k.op, k.isa, k.function});
        page += fmt::format("\n{}", table.text());
    }
    for (const std::string& advice : report.advice) page += fmt::format("\nadvice   {}\n", advice);
    return page;
}

}  // namespace

Result<int> doctor_verb(Program& program, Args args) {
    Console& console = program.console;
    bool kernels = false;
    Command command("doctor", "[options]", "What this machine offers, what is used of it, and advice.");
    command.flag("--kernels", kernels, "list the kernels in use");
    add_output_options(command, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const DoctorReport report, doctor());
    if (console.json)
        console.write_json(to_json(report));
    else
        console.write_page(page_of(report, kernels));
    return 0;
}

}  // namespace lapidary::cli
