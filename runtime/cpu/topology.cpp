// Linux only: the affinity mask, cgroup v2's cpu.max, sysfs, /proc/cpuinfo.
#include "runtime/cpu/topology.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>

namespace lapidary::runtime {
namespace {

namespace fs = std::filesystem;

// A core this much slower than the fastest is the slow kind. Frequencies of one kind differ by a tenth at most
// (favoured cores), efficiency cores stay below three quarters; arm64's capacities of middle cores begin at half.
constexpr double kSameKindFrequency = 0.8, kSameKindCapacity = 0.5;

std::vector<int> affinity() {
    std::vector<int> cpus;
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
    if (cpus.empty())
        for (int cpu = 0; cpu < static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); ++cpu)
            cpus.push_back(cpu);
    return cpus;
}

// `cores`, or fewer where the cgroup allows less processor time.
int within_quota(int cores) {
    std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
    std::string quota;
    double period = 0;
    if (quota_file >> quota >> period; quota_file && quota != "max" && period > 0) {
        const double share = std::strtod(quota.c_str(), nullptr) / period;
        if (share > 0) cores = std::clamp(static_cast<int>(share + 0.5), 1, cores);
    }
    return cores;
}

double number_in(const fs::path& file) {
    std::ifstream in(file);
    double value = 0;
    in >> value;
    return in ? value : 0;
}

// The first number of "0,8" or "0-1": the CPU that stands for its physical core.
int first_sibling(const fs::path& cpu, int itself) {
    std::ifstream in(cpu / "topology/thread_siblings_list");
    int first = itself;
    in >> first;
    return in ? first : itself;
}

// "0-7,16" -> whether it names the CPU. Intel lists its performance cores so.
bool list_names(const std::string& list, int cpu) {
    for (const char* at = list.c_str(); *at != 0;) {
        char* end = nullptr;
        const long first = std::strtol(at, &end, 10);
        if (end == at) return false;
        long last = first;
        if (*end == '-') last = std::strtol(end + 1, &end, 10);
        if (cpu >= first && cpu <= last) return true;
        at = *end == ',' ? end + 1 : "";
    }
    return false;
}

}  // namespace

int usable_cores() { return within_quota(static_cast<int>(affinity().size())); }

int performance_cores(const std::vector<int>& cpus, const fs::path& sys) {
    std::string intel;
    std::ifstream(sys / "devices/cpu_core/cpus") >> intel;
    const auto folder = [&](int cpu) { return sys / "devices/system/cpu" / ("cpu" + std::to_string(cpu)); };
    const auto fast = [&](const char* file, double share) {
        double best = 0;
        for (const int cpu : cpus) best = std::max(best, number_in(folder(cpu) / file));
        return [=](int cpu) { return number_in(folder(cpu) / file) >= share * best; };
    };
    const auto frequent = fast("cpufreq/cpuinfo_max_freq", kSameKindFrequency);
    const auto capable = fast("cpu_capacity", kSameKindCapacity);
    std::set<int> any, good;
    for (const int cpu : cpus) {
        const int core = first_sibling(folder(cpu), cpu);
        any.insert(core);
        if (intel.empty() ? frequent(cpu) && capable(cpu) : list_names(intel, cpu)) good.insert(core);
    }
    // A process bound to slow cores only has those.
    return static_cast<int>(std::max<size_t>(1, good.empty() ? any.size() : good.size()));
}

int default_threads() { return within_quota(performance_cores(affinity(), "/sys")); }

size_t largest_cache_bytes(const fs::path& sys) {
    size_t largest = 0;
    for (int index = 0; index < 8; ++index) {
        std::ifstream in(sys / "devices/system/cpu/cpu0/cache" / ("index" + std::to_string(index)) / "size");
        size_t size = 0;
        char unit = 'K';
        if (in >> size) in >> unit;
        largest = std::max(largest, size << (unit == 'M' ? 20 : 10));
    }
    return largest;
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
