// What other programs keep on this machine, and whether it would run here, from headers alone.
#include <new>

#include "base/describe.h"
#include "base/try.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "model/load/loader.h"
#include "model/stores/find.h"

namespace lapidary {
namespace {

// What its files say, as far as it can be opened; the verdict is that of plan().
Result<void> look_into(const std::shared_ptr<const stores::StoredModel>& kept, const EngineOptions& engine, const runtime::MachineFacts& machine,
                       StoredModel& out) {
    LAP_ASSIGN(const auto loaded, model::load_stored_model(kept, {.companions = true, .vocabulary = false}));
    out.title = loaded.config.name;
    out.type = commonest_type(loaded.weights);
    out.text = loaded.vocabulary_problem.empty();
    out.image = loaded.config.vision && loaded.config.vision->problem.empty();
    out.audio = loaded.config.audio && loaded.config.audio->problem.empty();
    EngineOptions options = engine;
    if (options.context > static_cast<uint32_t>(loaded.config.context)) options.context = 0;  // it has as much as it has
    LAP_ASSIGN(const uint32_t context, context_of(options, loaded.config.context));
    LAP_ASSIGN(const runtime::Plan plan, plan_for(options, loaded, context, machine));
    out.fits = plan.fits;
    out.total_bytes = plan.total_bytes;
    out.budget_bytes = plan.budget_bytes;
    return {};
}

// What an error says behind the file of the row, which stands there already.
std::string without_path(const std::string& message, const stores::StoredModel& kept) {
    const std::string front = in_quotes(kept.model.string()) + ": ";
    return message.starts_with(front) ? message.substr(front.size()) : message;
}

}  // namespace

Result<StoredModels> stored_models(const EngineOptions& engine) try {
    LAP_TRY(check_options(engine));
    LAP_ASSIGN(const runtime::MachineFacts machine, this_machine(engine));
    const stores::Places places = stores::places_here();
    const stores::Listing listing = stores::list_stores(places);
    StoredModels out;
    for (const auto* folders : {&places.ollama, &places.hugging_face, &places.lm_studio, &places.llama_cpp})
        out.folders.insert(out.folders.end(), folders->begin(), folders->end());
    for (const auto& problem : listing.problems) out.problems.push_back({problem.folder, problem.message, problem.hint});
    for (const stores::StoredModel& kept : listing.models) {
        StoredModel& row = out.models.emplace_back();
        row.name = kept.name;
        row.program = title_of(kept.program);
        row.path = kept.model;
        row.bytes = kept.bytes;
        row.drafter = !kept.drafter.empty();
        const auto looked = look_into(std::make_shared<const stores::StoredModel>(kept), engine, machine, row);
        if (!looked) row.problem = without_path(looked.error().message, kept);
    }
    return out;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

std::vector<std::string> stored_names() {
    std::vector<std::string> names;
    for (const auto& model : stores::list_stores(stores::places_here()).models)
        if (model.usable()) names.push_back(model.name);
    return names;
}

Result<FoundModel> find_model(const std::filesystem::path& model) try {
    LAP_ASSIGN(const stores::Found found, stores::find_model(model, stores::places_here()));
    if (!found.stored) return FoundModel{.path = model};
    const stores::StoredModel& kept = *found.stored;
    return FoundModel{.name = kept.name, .path = kept.model, .mmproj = kept.projector, .drafter = kept.drafter};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
