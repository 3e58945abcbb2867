// The start-up race: levels whose panel kernels give the same bits run against each other on this machine, and
// the fastest serves. Called by the engine for the formats of its model, and by `doctor`.
#pragma once

#include <span>
#include <vector>

#include "kernels/kernels.h"

namespace lapidary::runtime {

// One runner of one heat. few: one column, weights streaming from memory; else many columns, weights in cache.
struct RaceResult {
    kernels::Format format = kernels::Format::q4_0;
    bool few = false;
    const char* isa = "";
    double gmacs = 0;  // of one thread
    bool won = false;
};

// The tables that may compete here: every level that runs, but ref.
std::vector<const kernels::KernelTable*> racers();

// Replaces in `table` the panel_matmul and panel_matmul_few of each format by the fastest of the runners'. All
// runners must promise the same bits (kernels/panels.h). A heat takes a few milliseconds; a format with one
// runner only is not raced. Formats without panels are skipped.
std::vector<RaceResult> race(std::span<const kernels::KernelTable* const> runners,
                             std::span<const kernels::Format> formats, kernels::KernelTable& table);

}  // namespace lapidary::runtime
