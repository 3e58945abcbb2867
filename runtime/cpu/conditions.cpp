// Linux: /proc, /sys and getrusage; see conditions.h.
#include "runtime/cpu/conditions.h"

#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <system_error>

namespace lapidary::runtime {
namespace {

namespace fs = std::filesystem;

std::string word_in(const fs::path& file) {
    std::ifstream in(file);
    std::string word;
    in >> word;
    return word;
}

// The number behind `key` in files of lines like "VmSwap:   12 kB" or "pswpin 7"; 0 where there is none.
uint64_t value_of(const fs::path& file, const std::string& key) {
    std::ifstream in(file);
    std::string word, rest;
    for (uint64_t value = 0; in >> word; std::getline(in, rest))
        if (word == key && in >> value) return value;
    return 0;
}

// A battery that empties. Mains adapters are no proof of the contrary: some laptops list several.
bool discharging(const fs::path& supplies) {
    std::error_code missing;
    for (const auto& supply : fs::directory_iterator(supplies, missing))
        if (word_in(supply.path() / "type") == "Battery" && word_in(supply.path() / "status") == "Discharging")
            return true;
    return false;
}

}  // namespace

Conditions read_conditions(const fs::path& root) {
    Conditions now;
    now.at_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    now.on_battery = discharging(root / "sys/class/power_supply");
    now.governor = word_in(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    std::ifstream(root / "proc/loadavg") >> now.load;
    now.swapped_bytes = value_of(root / "proc/self/status", "VmSwap:") << 10;
    now.swapped_in_pages = value_of(root / "proc/vmstat", "pswpin");
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) == 0) now.involuntary_switches = static_cast<uint64_t>(usage.ru_nivcsw);
    return now;
}

}  // namespace lapidary::runtime
