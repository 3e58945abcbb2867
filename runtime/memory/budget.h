// How much memory this process may count on.
#pragma once

#include <cstdint>

namespace lapidary::runtime {

struct Memory {
    uint64_t total_bytes = 0;
    uint64_t available_bytes = 0;  // the kernel's estimate of what can be taken without swapping
    uint64_t limit_bytes = 0;      // cgroup v2 memory.max; 0: none
};
Memory memory();
uint64_t peak_rss_bytes();

}  // namespace lapidary::runtime
