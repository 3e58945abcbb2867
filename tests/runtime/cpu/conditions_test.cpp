#include "runtime/cpu/conditions.h"

#include <doctest/doctest.h>

#include "tests/support/invented_machine.h"

using namespace lapidary::runtime;
using lapidary::test::InventedMachine;

TEST_CASE("conditions: a laptop on its battery, busy and swapping") {
    const InventedMachine machine;
    machine.put("sys/class/power_supply/AC/type", "Mains");
    machine.put("sys/class/power_supply/AC/online", "0");
    machine.put("sys/class/power_supply/BAT0/type", "Battery");
    machine.put("sys/class/power_supply/BAT0/status", "Discharging");
    machine.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave");
    machine.put("proc/loadavg", "3.25 1.00 0.50 2/300 4711");
    machine.put("proc/self/status", "Name:\tlapidary\nVmRSS:\t   512 kB\nVmSwap:\t   64 kB\nThreads:\t2");
    machine.put("proc/vmstat", "pgpgin 12\npswpin 34\npswpout 56");
    const Conditions now = read_conditions(machine.root());
    CHECK(now.on_battery);
    CHECK(now.governor == "powersave");
    CHECK(now.load == doctest::Approx(3.25));
    CHECK(now.swapped_bytes == 64 << 10);
    CHECK(now.swapped_in_pages == 34);
    machine.put("sys/class/power_supply/BAT0/status", "Charging");
    CHECK(!read_conditions(machine.root()).on_battery);
}

TEST_CASE("conditions: a machine that tells nothing") {
    const InventedMachine machine;
    const Conditions now = read_conditions(machine.root());
    CHECK(!now.on_battery);
    CHECK(now.governor.empty());
    CHECK(now.load == 0);
    CHECK(now.swapped_bytes == 0);
}
