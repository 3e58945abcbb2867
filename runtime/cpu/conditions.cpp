// Linux: /proc, /sys and getrusage; see conditions.h.
#include "runtime/cpu/conditions.h"

#include <sys/resource.h>

#include <chrono>
#include <fstream>

#include "runtime/cpu/power.h"
#include "runtime/memory/kernel_file.h"

namespace lapidary::runtime {

Conditions read_conditions(const std::filesystem::path& root) {
    Conditions now;
    now.at_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    now.on_battery = power_state(root).on_battery;
    now.governor = kernel_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    std::ifstream(root / "proc/loadavg") >> now.load;
    now.swapped_bytes = number_behind(kernel_text(root / "proc/self/status"), "VmSwap:").value_or(0) << 10;
    now.swapped_in_pages = number_behind(kernel_text(root / "proc/vmstat"), "pswpin").value_or(0);
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) == 0) now.involuntary_switches = static_cast<uint64_t>(usage.ru_nivcsw);
    return now;
}

}  // namespace lapidary::runtime
