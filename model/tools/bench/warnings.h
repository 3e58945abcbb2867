// Why the figures of a measurement deserve doubt. Used by model/tools/bench.cpp for every row.
#pragma once

#include <string>
#include <vector>

#include "model/tools/bench/runner.h"
#include "runtime/cpu/conditions.h"

namespace lapidary::model {

// `before` and `after`: the machine around the repetitions; `threads`: of the engine; `peak_instruction`: of its probe.
std::vector<std::string> bench_warnings(const std::vector<Repetition>& repetitions, const runtime::Conditions& before,
                                        const runtime::Conditions& after, int threads,
                                        const std::string& peak_instruction);

}  // namespace lapidary::model
