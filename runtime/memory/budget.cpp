// /proc/meminfo, cgroup v2, getrusage.
#include "runtime/memory/budget.h"

#include <sys/resource.h>

#include <fstream>
#include <string>

namespace lapidary::runtime {

Memory memory() {
    Memory m;
    std::ifstream info("/proc/meminfo");
    std::string key, unit;
    for (uint64_t kib; info >> key >> kib; std::getline(info, unit)) {
        if (key == "MemTotal:") m.total_bytes = kib << 10;
        if (key == "MemAvailable:") m.available_bytes = kib << 10;
    }
    std::ifstream limit("/sys/fs/cgroup/memory.max");
    limit >> m.limit_bytes;  // "max" is no number and leaves 0
    return m;
}

uint64_t peak_rss_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_maxrss) << 10;
}

}  // namespace lapidary::runtime
