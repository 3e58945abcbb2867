// How many threads this process may use, which cores are worth one, and what the processor calls itself.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace lapidary::runtime {

// Cores that the scheduler's affinity mask and the cgroup's quota leave to this process; at least 1.
int usable_cores();

// Of these logical CPUs, one per physical core, without the slow kind of a mixed processor. `sys` is /sys or a
// copy of it; where it says nothing, every CPU counts.
int performance_cores(const std::vector<int>& cpus, const std::filesystem::path& sys);

// The default number of threads: usable performance cores, within the quota; at least 1.
int default_threads();

// Bytes of the largest cache of CPU 0; 0: unknown.
size_t largest_cache_bytes(const std::filesystem::path& sys);

std::string cpu_name();

}  // namespace lapidary::runtime
