// What besides the program decides how fast it runs: power, governor, other programs, swapping.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lapidary::runtime {

struct Conditions {
    double at_seconds = 0;              // when they were read, on a steady clock
    bool on_battery = false;
    std::string governor;               // of CPU 0; empty: unknown
    double load = 0;                    // runnable threads of the machine, mean of the last minute
    uint64_t swapped_bytes = 0;         // of this process, out in swap
    uint64_t swapped_in_pages = 0;      // by the whole machine since it started
    uint64_t involuntary_switches = 0;  // of this process: others wanted its processor
};

// `root` is / or a copy of the /proc and /sys in it; where they say nothing, the fields keep their defaults.
Conditions read_conditions(const std::filesystem::path& root);

}  // namespace lapidary::runtime
