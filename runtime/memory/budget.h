// How much memory this process may count on, and how short of it the machine is. Any thread may call these.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lapidary::runtime {

// The limits are those of control groups, version 1 or 2: of the own group and of all above it that this process can see.
struct Memory {
    uint64_t total_bytes = 0;       // of the machine; 0: unknown
    uint64_t available_bytes = 0;   // the kernel's estimate of what can be taken without swapping; 0: unknown
    uint64_t swap_free_bytes = 0;   // of the machine
    uint64_t mapped_bytes = 0;      // pages of files that this process has mapped, as weights: the kernel calls them available
    uint64_t limit_bytes = 0;       // the smallest limit of any group; 0: none
    uint64_t limit_left_bytes = 0;  // the least that any limited group has left; without a limit meaningless
    std::string limit_from;         // the folder of that group, as "/sys/fs/cgroup/user.slice"; empty: none
};

// What the kernel says now, some dozen small files. `root` is / or a folder with copies of /proc and /sys; what is missing
// or damaged there is unknown, and an unknown limit none. A group has left what its limit exceeds its usage by, where the
// usage is counted without pages of files, which the kernel takes back as MemAvailable has it: a model that was mapped before
// leaves many (inactive_file, active_file). Sources: Linux's
// Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
Memory memory(const std::filesystem::path& root = "/");

// What can still be taken without swapping, below every limit and without losing pages that are mapped; 0 also where
// available_bytes is unknown.
uint64_t usable_bytes(const Memory& memory);

// Pressure stall information (Documentation/accounting/psi.rst): percent of the last ten seconds in which some or all
// tasks waited for memory, of the machine or of the own group, whichever is worse.
struct Pressure {
    double some_avg10 = 0, full_avg10 = 0;
    bool known = false;  // kernels may be built or started without it
};
Pressure memory_pressure(const std::filesystem::path& root = "/");

uint64_t peak_rss_bytes();

}  // namespace lapidary::runtime
