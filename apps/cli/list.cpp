// `lapidary list`: the models that other programs keep on this machine, under the names that open them here.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/numbers.h"
#include "apps/common/options.h"
#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/printable.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const StoredModel& model) {
    return {{"name", model.name},
            {"program", model.program},
            {"path", model.path.string()},
            {"bytes", model.bytes},
            {"title", model.title},
            {"type", model.type},
            {"inputs", {{"text", model.text}, {"image", model.image}, {"audio", model.audio}, {"drafter", model.drafter}}},
            {"fits", model.fits},
            {"total_bytes", model.total_bytes},
            {"budget_bytes", model.budget_bytes},
            {"problem", model.problem.empty() ? Json(nullptr) : Json(model.problem)}};
}

Json to_json(const StoredModels& found) {
    Json models = Json::array(), problems = Json::array(), folders = Json::array();
    for (const StoredModel& model : found.models) models.push_back(to_json(model));
    for (const StoreProblem& p : found.problems) problems.push_back({{"folder", p.folder.string()}, {"message", p.message}, {"hint", p.hint}});
    for (const auto& folder : found.folders) folders.push_back(folder.string());
    return {{"models", models}, {"problems", problems}, {"folders", folders}};
}

std::string kinds_of_input(const StoredModel& model) {
    std::vector<std::string> inputs;
    if (model.text) inputs.emplace_back("text");
    if (model.image) inputs.emplace_back("image");
    if (model.audio) inputs.emplace_back("audio");
    if (model.drafter) inputs.emplace_back("drafter");
    return fmt::format("{}", fmt::join(inputs, ", "));
}

// Those that can be opened, then the others, each with its problem in its row.
std::string stored_table(const std::vector<StoredModel>& models) {
    Table usable({Align::left, Align::left, Align::right, Align::left, Align::left, Align::left});
    usable.row({"name", "kept by", "size", "type", "inputs", "fits"});
    Table broken({Align::left, Align::left, Align::right, Align::left});
    broken.row({"name", "kept by", "size", "problem"});
    size_t problems = 0;
    for (const StoredModel& m : models) {
        const std::string size = m.bytes > 0 ? human_bytes(m.bytes) : "";
        const std::string verdict =
            m.fits ? "yes" : fmt::format("no: {} of {}", human_bytes(m.total_bytes), human_bytes(m.budget_bytes));
        if (m.problem.empty()) usable.row({m.name, m.program, size, m.type, kinds_of_input(m), verdict});
        else broken.row({m.name, m.program, size, m.problem});
        problems += m.problem.empty() ? 0 : 1;
    }
    std::string page = problems < models.size() ? usable.text() : "";
    if (problems > 0) page += fmt::format("{}cannot be opened here:\n{}", page.empty() ? "" : "\n", broken.text());
    return page;
}

}  // namespace

Result<int> list_verb(Program& program, Args args) {
    Console& console = program.console;
    EngineOptions engine;
    bool names = false;
    Command command("list", "[options]",
                    "The models that Ollama, LM Studio, llama.cpp and programs of Hugging Face keep on this machine, under the names that open "
                    "them here.");
    add_context_option(command, engine.context, "context that fits is judged with (default 8k)");
    command.parsed("--memory", "N", "memory to use, as 12G or 800M (default: what is free, less a reserve)", engine.memory_bytes, parse_bytes);
    command.flag("--names", names, "the names alone, a line each, without a look into the files");
    add_output_options(command, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    if (names) {
        const std::vector<std::string> all = stored_names();
        if (console.json) return console.write_json({{"names", all}}), 0;
        std::string page;
        for (const std::string& name : all) page += printable(name) + "\n";
        return console.write_page(page), 0;
    }
    LAP_ASSIGN(const StoredModels found, stored_models(engine));
    if (console.json) return console.write_json(to_json(found)), 0;
    for (const StoreProblem& p : found.problems) console.note(fmt::format("note: {}: {}; {}", p.folder.string(), p.message, p.hint));
    std::vector<std::string> folders;
    for (const auto& folder : found.folders) folders.push_back(folder.string());
    if (found.models.empty()) console.note(fmt::format("note: no models are in {}", fmt::join(folders, ", ")));
    console.write_page(found.models.empty() ? "" : stored_table(found.models));
    return 0;
}

}  // namespace lapidary::cli
