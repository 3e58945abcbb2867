#include "runtime/cpu/topology.h"

#include <doctest/doctest.h>
#include <sched.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary::runtime;

TEST_CASE("topology: the affinity mask limits the cores") {
    cpu_set_t all;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    CHECK(usable_cores() >= 1);
    CHECK(usable_cores() <= CPU_COUNT(&all));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    }
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(usable_cores() == 1);
    CHECK(default_threads() == 1);
    REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
    CHECK(!cpu_name().empty());
}

namespace {

// A copy of /sys for `count` CPUs: `value(cpu)` goes into cpuN/<file>.
template <class Value>
void describe(const lapidary::test::ScratchFolder& sys, int count, const std::string& file, const Value& value) {
    for (int cpu = 0; cpu < count; ++cpu) {
        const std::string name = "devices/system/cpu/cpu" + std::to_string(cpu) + "/" + file;
        std::filesystem::create_directories((sys.path() / name).parent_path());
        sys.write(name, std::string(value(cpu)) + "\n");
    }
}

const std::vector<int> kEight = {0, 1, 2, 3, 4, 5, 6, 7};

}  // namespace

TEST_CASE("topology: one thread per physical core of the fast kind") {
    using lapidary::test::ScratchFolder;
    const ScratchFolder silent;
    CHECK(performance_cores(kEight, silent.path()) == 8);
    CHECK(performance_cores({}, silent.path()) == 1);
    CHECK(largest_cache_bytes(silent.path()) == 0);

    const ScratchFolder hybrid;  // two fast cores with two threads each, four slow ones
    const auto pairs = [](int cpu) { return cpu < 4 ? std::to_string(cpu / 2 * 2) + "-" + std::to_string(cpu / 2 * 2 + 1)
                                                    : std::to_string(cpu); };
    describe(hybrid, 8, "topology/thread_siblings_list", pairs);
    CHECK(performance_cores(kEight, hybrid.path()) == 6);
    describe(hybrid, 8, "cpufreq/cpuinfo_max_freq", [](int cpu) { return cpu < 4 ? cpu < 2 ? "5800000" : "5400000" : "4300000"; });
    CHECK(performance_cores(kEight, hybrid.path()) == 2);
    CHECK(performance_cores({4, 5}, hybrid.path()) == 2);  // bound to slow cores: these are all it has

    const ScratchFolder intel;
    describe(intel, 8, "topology/thread_siblings_list", pairs);
    std::filesystem::create_directories(intel.path() / "devices/cpu_core");
    intel.write("devices/cpu_core/cpus", "0-1,3\n");
    CHECK(performance_cores(kEight, intel.path()) == 2);
    CHECK(performance_cores({5, 6, 7}, intel.path()) == 3);

    const ScratchFolder arm;  // four little, three middle, one big
    describe(arm, 8, "cpu_capacity", [](int cpu) { return cpu < 4 ? "250" : cpu < 7 ? "760" : "1024"; });
    CHECK(performance_cores(kEight, arm.path()) == 4);
}

TEST_CASE("topology: the largest cache") {
    const lapidary::test::ScratchFolder sys;
    describe(sys, 1, "cache/index0/size", [](int) { return "32K"; });
    describe(sys, 1, "cache/index3/size", [](int) { return "32768K"; });
    CHECK(largest_cache_bytes(sys.path()) == size_t{32} << 20);
}
