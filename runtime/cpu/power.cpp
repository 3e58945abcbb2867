// Linux: /sys/class/power_supply, the platform's profile, cpufreq.
#include "runtime/cpu/power.h"

#include <string_view>
#include <system_error>

#include "runtime/memory/kernel_file.h"

namespace lapidary::runtime {
namespace {

namespace fs = std::filesystem;

// As the kernel's power_supply_is_system_supplied: any charger that is online supplies the machine, of whatever kind (laptops
// charge by USB too), and what belongs to a mouse or a pen does not count.
bool on_battery(const fs::path& supplies) {
    bool discharging = false;
    std::error_code ended;
    for (fs::directory_iterator supply(supplies, ended), end; !ended && supply != end; supply.increment(ended)) {
        const auto text = [&](const char* file) { return kernel_text(supply->path() / file); };
        if (text("scope") == "Device") continue;
        const std::string type = text("type");
        if (type == "Battery") {
            discharging = discharging || text("status") == "Discharging";
        } else if (type == "Mains" || type == "USB" || type == "Wireless") {
            if (whole_number(text("online")).value_or(0) != 0) return false;  // 2: with a voltage that was asked for
        }
    }
    return discharging;
}

// Profiles are single words; anything else is no profile.
std::string profile_in(const fs::path& file) {
    constexpr size_t kLongest = 40;
    constexpr std::string_view kOf = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    const std::string text = kernel_text(file);
    return text.size() <= kLongest && text.find_first_not_of(kOf) == std::string::npos ? text : "";
}

}  // namespace

Power power_state(const fs::path& root) {
    Power power;
    power.on_battery = on_battery(root / "sys/class/power_supply");
    power.profile = profile_in(root / "sys/firmware/acpi/platform_profile");
    if (power.profile.empty())
        power.profile = profile_in(root / "sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference");
    return power;
}

std::string name(const Power& power) {
    const std::string source = power.on_battery ? "battery" : "mains";
    return power.profile.empty() ? source : source + ", " + power.profile;
}

}  // namespace lapidary::runtime
