// The CPU as a device: the best kernels of a level for the formats of a model, found by a short race.
#pragma once

#include <memory>
#include <span>

#include "runtime/cpu/cpu.h"
#include "runtime/device.h"

namespace lapidary::runtime {

struct CpuSettings {
    const kernels::KernelTable* level = nullptr;  // kernels::select
    PhaseThreads threads;                         // of long and of short steps, both 1 or more
    bool precise = false;
    bool race = true;  // false: the level serves every format itself
};

// out_of_memory when the system gives fewer threads.
Result<std::unique_ptr<Device>> make_cpu_device(const CpuSettings& settings, std::span<const Format> formats);

}  // namespace lapidary::runtime
