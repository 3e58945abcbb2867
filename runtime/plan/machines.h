// Laptops that are not here, as facts to plan for: what others published of them, turned into rates. They say what a plan
// looks like on such a machine and serve the planner's tests; a machine that is here is measured instead.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/plan/facts.h"

namespace lapidary::runtime {

struct MachineModel {
    const char* name;   // "780m-16g": its GPU, or its CPU, and its memory; also facts.name
    const char* about;  // processor, memory, for people
    MachineFacts facts; // rates_from: "modelled: ", then the pages
};

// In the order of a table: by GPU, then memory. Made once; may be called from any thread.
const std::vector<MachineModel>& modelled_machines();

// Empty: no machine of that name is modelled.
std::optional<MachineFacts> modelled_machine(std::string_view name);

}  // namespace lapidary::runtime
