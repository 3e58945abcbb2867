#include "runtime/cpu/power.h"

#include <doctest/doctest.h>

#include "tests/support/invented_machine.h"

using namespace lapidary::runtime;
using lapidary::test::InventedMachine;

namespace {

constexpr const char* kProfile = "sys/firmware/acpi/platform_profile";
constexpr const char* kPreference = "sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference";

void put_supply(const InventedMachine& machine, const std::string& name, const char* type, const char* file, const char* value,
                const char* scope = "") {
    const std::string folder = "sys/class/power_supply/" + name + "/";
    machine.put(folder + "type", type);
    machine.put(folder + file, value);
    if (*scope != 0) machine.put(folder + "scope", scope);
}

}  // namespace

TEST_CASE("power: a laptop on mains, and unplugged") {
    const InventedMachine machine;
    put_supply(machine, "AC", "Mains", "online", "1");
    put_supply(machine, "BAT0", "Battery", "status", "Charging", "System");
    machine.put(kProfile, "balanced");
    CHECK(name(power_state(machine.root())) == "mains, balanced");
    put_supply(machine, "AC", "Mains", "online", "0");
    put_supply(machine, "BAT0", "Battery", "status", "Discharging");
    machine.put(kProfile, "low-power");
    CHECK(power_state(machine.root()).on_battery);
    CHECK(name(power_state(machine.root())) == "battery, low-power");
}

TEST_CASE("power: one charger that is online is enough, of whatever kind, and a second battery may empty meanwhile") {
    const InventedMachine machine;
    put_supply(machine, "AC", "Mains", "online", "0");
    put_supply(machine, "BAT0", "Battery", "status", "Not charging");
    put_supply(machine, "BAT1", "Battery", "status", "Discharging");
    CHECK(power_state(machine.root()).on_battery);
    for (const char* type : {"Mains", "USB", "Wireless"}) {
        CAPTURE(type);
        put_supply(machine, "charger", type, "online", "1");
        CHECK(!power_state(machine.root()).on_battery);
        put_supply(machine, "charger", type, "online", "0");
        CHECK(power_state(machine.root()).on_battery);
    }
    put_supply(machine, "charger", "USB", "online", "2");
    CHECK(!power_state(machine.root()).on_battery);
}

TEST_CASE("power: what belongs to a mouse or a pen does not count") {
    const InventedMachine machine;
    put_supply(machine, "hidpp_battery_0", "Battery", "status", "Discharging", "Device");
    CHECK(!power_state(machine.root()).on_battery);
    put_supply(machine, "BAT0", "Battery", "status", "Discharging", "System");
    put_supply(machine, "pen", "USB", "online", "1", "Device");
    CHECK(power_state(machine.root()).on_battery);
}

TEST_CASE("power: the platform's profile, else the processor's preference") {
    const InventedMachine machine;
    CHECK(name(power_state(machine.root())) == "mains");
    machine.put(kPreference, "balance_performance");
    CHECK(power_state(machine.root()).profile == "balance_performance");
    machine.put(kProfile, "performance");
    CHECK(power_state(machine.root()).profile == "performance");
    for (const std::string& damaged : {std::string(), std::string("two words"), std::string("bal\033[2Janced"),
                                       std::string(300, 'a'), std::string(2 << 20, 'a')}) {
        CAPTURE(damaged.substr(0, 12));
        machine.put(kProfile, damaged);
        CHECK(power_state(machine.root()).profile == "balance_performance");
    }
    machine.remove(kProfile);
    std::filesystem::create_directories(machine.root() / kProfile);
    machine.put(kPreference, "\x80");
    CHECK(name(power_state(machine.root())) == "mains");
}

TEST_CASE("power: damaged supplies are none") {
    const InventedMachine machine;
    put_supply(machine, "AC", "Mains", "online", "yes");
    put_supply(machine, "ACAD", "Main", "online", "1");
    put_supply(machine, "BAT0", "Battery", "status", "Discharging");
    machine.put("sys/class/power_supply/file", "");
    std::filesystem::create_directories(machine.root() / "sys/class/power_supply/empty");
    std::filesystem::create_directories(machine.root() / "sys/class/power_supply/folders/type");
    CHECK(power_state(machine.root()).on_battery);
    put_supply(machine, "BAT0", "Battery", "status", "Discharging...");
    CHECK(!power_state(machine.root()).on_battery);
    machine.remove("sys/class/power_supply");
    machine.put("sys/class/power_supply", "no folder");
    CHECK(!power_state(machine.root()).on_battery);
}

TEST_CASE("power: this machine, whatever it is") {
    const std::string text = name(power_state());
    CHECK((text.starts_with("mains") || text.starts_with("battery")));
}
