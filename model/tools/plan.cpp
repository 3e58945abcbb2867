// What an engine would do with a model on this machine or a modelled one, from headers alone.
#include <new>

#include "base/describe.h"
#include "base/try.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "model/synth/memory.h"
#include "model/synth/options.h"
#include "runtime/plan/machines.h"

namespace lapidary {
namespace {

Result<model::LoadedModel> headers(const PlanOptions& o) {
    if (o.synthetic.empty()) {
        model::LoadOptions options = load_options(o.engine);
        options.vocabulary = false;
        return model::load_model(options);
    }
    LAP_ASSIGN(const auto synthetic, synth_options({.preset = o.synthetic, .type = o.type, .layers = o.layers}));
    return model::synthetic_model(synthetic, model::Filled::no);
}

Result<runtime::MachineFacts> machine_of(const PlanOptions& o) {
    if (o.machine.empty()) return this_machine(o.engine);
    if (auto modelled = runtime::modelled_machine(o.machine)) return std::move(*modelled);
    std::string names;
    for (const PlanMachine& m : plan_machines()) names += (names.empty() ? "" : ", ") + m.name;
    return Error{Errc::invalid_argument, concat("there is no modelled machine ", in_quotes(o.machine)), "these are: " + names};
}

}  // namespace

Result<Plan> plan(const PlanOptions& options) try {
    LAP_TRY(check_options(options.engine));
    LAP_ASSIGN(const model::LoadedModel loaded, headers(options));
    LAP_ASSIGN(const uint32_t context, context_of(options.engine, loaded.config.context));
    LAP_ASSIGN(const runtime::MachineFacts machine, machine_of(options));
    LAP_ASSIGN(const runtime::Plan plan, plan_for(options.engine, loaded, context, machine));
    return public_plan(plan, loaded, commonest_type(loaded.weights), machine.name);
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

std::vector<PlanMachine> plan_machines() {
    std::vector<PlanMachine> out;
    for (const runtime::MachineModel& m : runtime::modelled_machines()) out.push_back({m.name, concat(m.about, "; ", m.facts.rates_from)});
    return out;
}

}  // namespace lapidary
