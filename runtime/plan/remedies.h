// What would make a plan fit that does not; part of make_plan.
#pragma once

#include <vector>

#include "runtime/plan/plan.h"

namespace lapidary::runtime {

// Bytes that are wanted beyond those that are there.
inline uint64_t excess(uint64_t wanted, uint64_t there) { return wanted > there ? wanted - there : 0; }

// Three at most, those that are enough alone first, then the least loss. Savings are those of the plan's own placement and
// format; `enough` is found by trying every placement and format that is allowed.
std::vector<Remedy> remedies_for(const ModelFacts& model, const MachineFacts& machine, const Plan& plan, const Wishes& wishes);

}  // namespace lapidary::runtime
