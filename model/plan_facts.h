// A model as the planner wants it (runtime/plan/facts.h). Private to model/.
#pragma once

#include "model/config.h"
#include "model/weights.h"
#include "runtime/plan/facts.h"

namespace lapidary::model {

struct StepFacts {
    int32_t chunk = 512;   // tokens of a prompt in a step
    int32_t context = 0;   // positions that attention may see
    int threads = 1;
    bool precise = false;
};

// `weights` may be views of sources that are not placed yet: matrices take the same bytes wherever they lie.
runtime::ModelFacts plan_facts(const ModelConfig& config, const Weights& weights, const StepFacts& step);

}  // namespace lapidary::model
