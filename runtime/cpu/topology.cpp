// Linux only: the affinity mask, cgroup v2's cpu.max, /proc/cpuinfo.
#include "runtime/cpu/topology.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>

namespace lapidary::runtime {

int usable_cores() {
    int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) cores = std::max(1, CPU_COUNT(&mask));
    std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
    std::string quota;
    double period = 0;
    if (quota_file >> quota >> period; quota_file && quota != "max" && period > 0) {
        const double share = std::strtod(quota.c_str(), nullptr) / period;
        if (share > 0) cores = std::clamp(static_cast<int>(share + 0.5), 1, cores);
    }
    return cores;
}

std::string cpu_name() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) {
            const auto colon = line.find(": ");
            if (colon != std::string::npos) return line.substr(colon + 2);
        }
    }
    return "unknown";
}

}  // namespace lapidary::runtime
