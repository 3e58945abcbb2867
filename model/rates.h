// Where an engine's machine keeps its measured rates (runtime/plan/rates_store.h). Private to model/.
#pragma once

#include <filesystem>

#include "lapidary/lapidary.h"
#include "model/plan_facts.h"
#include "runtime/plan/rates_store.h"

namespace lapidary::model {

struct RatesPlace {
    std::filesystem::path file;  // empty: nothing is kept
    runtime::RatesKey key;       // of this machine just now, with the GPU that the options ask for
};
Result<RatesPlace> rates_place(const EngineOptions& options);

}  // namespace lapidary::model
