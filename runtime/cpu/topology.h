// How many threads this process may use, and what the processor calls itself.
#pragma once

#include <string>

namespace lapidary::runtime {

// Cores that the scheduler's affinity mask and the cgroup's quota leave to this process; at least 1.
int usable_cores();
std::string cpu_name();

}  // namespace lapidary::runtime
