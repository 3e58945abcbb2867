#include "runtime/cpu/conditions.h"

#include <doctest/doctest.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary::runtime;
using lapidary::test::ScratchFolder;

namespace {

void put(const ScratchFolder& root, const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root.path() / name).parent_path());
    root.write(name, text);
}

}  // namespace

TEST_CASE("conditions: a laptop on its battery, busy and swapping") {
    const ScratchFolder root;
    put(root, "sys/class/power_supply/AC/type", "Mains\n");
    put(root, "sys/class/power_supply/AC/online", "0\n");
    put(root, "sys/class/power_supply/BAT0/type", "Battery\n");
    put(root, "sys/class/power_supply/BAT0/status", "Discharging\n");
    put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    put(root, "proc/loadavg", "3.25 1.00 0.50 2/300 4711\n");
    put(root, "proc/self/status", "Name:\tlapidary\nVmRSS:\t   512 kB\nVmSwap:\t   64 kB\nThreads:\t2\n");
    put(root, "proc/vmstat", "pgpgin 12\npswpin 34\npswpout 56\n");
    const Conditions now = read_conditions(root.path());
    CHECK(now.on_battery);
    CHECK(now.governor == "powersave");
    CHECK(now.load == doctest::Approx(3.25));
    CHECK(now.swapped_bytes == 64 << 10);
    CHECK(now.swapped_in_pages == 34);
    put(root, "sys/class/power_supply/BAT0/status", "Charging\n");
    CHECK(!read_conditions(root.path()).on_battery);
}

TEST_CASE("conditions: a machine that tells nothing") {
    const ScratchFolder root;
    const Conditions now = read_conditions(root.path());
    CHECK(!now.on_battery);
    CHECK(now.governor.empty());
    CHECK(now.load == 0);
    CHECK(now.swapped_bytes == 0);
}
