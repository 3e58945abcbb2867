// What drives the machine, and how hard it may drive the processor: both change speeds severalfold.
#pragma once

#include <filesystem>
#include <string>

namespace lapidary::runtime {

struct Power {
    bool on_battery = false;
    // The firmware's ("low-power", "balanced", "performance"), else the preference of CPU 0 ("balance_power"); empty: unknown.
    std::string profile;
};

// `root` is / or a folder with a copy of /sys. Missing and damaged files are as none: a machine without supplies is on
// mains. Sources: Linux's Documentation/ABI/testing/sysfs-class-power, sysfs-platform_profile and
// admin-guide/pm/intel_pstate.rst.
Power power_state(const std::filesystem::path& root = "/");

// "mains, balanced", "battery, low-power", "mains": the same text for the same state, fit as a key of measurements.
std::string name(const Power& power);

}  // namespace lapidary::runtime
