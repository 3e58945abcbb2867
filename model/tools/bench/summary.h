// Repetitions to one row of the result.
#pragma once

#include <vector>

#include "model/tools/bench/runner.h"

namespace lapidary::model {

// Everything that is computed from the repetitions; what describes engine and machine is filled by describe_engine.
BenchRow summarise(const BenchCase& what, const std::vector<Repetition>& repetitions);
void describe_engine(const Engine& engine, BenchRow& row);

}  // namespace lapidary::model
