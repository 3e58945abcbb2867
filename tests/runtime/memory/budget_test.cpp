#include "runtime/memory/budget.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "tests/support/invented_machine.h"

using namespace lapidary::runtime;
using lapidary::test::InventedMachine;

TEST_CASE("budget: plausible figures, and the peak grows with touched memory") {
    const Memory m = memory();
    CHECK(m.total_bytes > (uint64_t{64} << 20));
    CHECK(m.available_bytes > 0);
    CHECK(m.available_bytes <= m.total_bytes);
    const uint64_t before = peak_rss_bytes();
    // More than the peak so far, whatever ran before in this process.
    const auto buffer = allocate_host(before + (size_t{64} << 20));
    REQUIRE(buffer);
    for (size_t i = 0; i < (*buffer)->bytes; i += 4096) host_bytes(**buffer)[i] = std::byte{1};
    CHECK(peak_rss_bytes() >= before + (uint64_t{32} << 20));
}

namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

std::string gib(double value) { return std::to_string(static_cast<uint64_t>(value * static_cast<double>(kGiB))); }

// 16 GiB, of which 12 are available.
void put_meminfo(const InventedMachine& machine) {
    machine.put("proc/meminfo", "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:   12582912 kB\n"
                                "SwapCached:            0 kB\nSwapTotal:       4194304 kB\nSwapFree:        2097152 kB");
}

// `folder` as "a/b" below the mount of version 2, which is that of `machine` afterwards.
void put_group(const InventedMachine& machine, const std::string& folder, const std::string& limit, const std::string& usage,
               const std::string& inactive_file = "0") {
    const std::string path = "sys/fs/cgroup/" + folder + "/memory.";
    machine.put(path + "max", limit);
    machine.put(path + "high", "max");
    machine.put(path + "current", usage);
    machine.put(path + "stat", "anon 4096\nfile 8192\ninactive_anon 77\ninactive_file " + inactive_file + "\nactive_file 0");
}

void put_group_v1(const InventedMachine& machine, const std::string& folder, const std::string& limit, const std::string& usage,
                  const std::string& inactive_file = "0") {
    const std::string path = "sys/fs/cgroup/memory/" + folder + "/memory.";
    machine.put(path + "limit_in_bytes", limit);
    machine.put(path + "usage_in_bytes", usage);
    machine.put(path + "stat", "inactive_file 1\nhierarchical_memory_limit 5\ntotal_inactive_file " + inactive_file);
}

constexpr const char* kMount1 = "41 32 0:36 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory";
constexpr const char* kNone1 = "9223372036854771712";

}  // namespace

TEST_CASE("budget: a machine without groups, and one that tells nothing") {
    const InventedMachine machine;
    CHECK(memory(machine.root()).total_bytes == 0);
    CHECK(usable_bytes(memory(machine.root())) == 0);
    put_meminfo(machine);
    const Memory m = memory(machine.root());
    CHECK(m.total_bytes == 16 * kGiB);
    CHECK(m.available_bytes == 12 * kGiB);
    CHECK(m.swap_free_bytes == 2 * kGiB);
    CHECK(m.limit_bytes == 0);
    CHECK(m.limit_from.empty());
    CHECK(usable_bytes(m) == 12 * kGiB);
}

TEST_CASE("budget: the tightest of nested groups, by what is left and not by its limit") {
    const InventedMachine machine;
    put_meminfo(machine);
    machine.put("proc/self/cgroup", "0::/user.slice/app.scope");
    put_group(machine, "user.slice", gib(8), gib(7), gib(2));  // shared with others: 3 left
    put_group(machine, "user.slice/app.scope", gib(6), gib(1), gib(0.5));
    const Memory m = memory(machine.root());
    CHECK(m.limit_bytes == 6 * kGiB);
    CHECK(m.limit_left_bytes == 3 * kGiB);
    CHECK(m.limit_from == "/sys/fs/cgroup/user.slice");
    CHECK(usable_bytes(m) == 3 * kGiB);
    put_group(machine, "user.slice", "max", gib(7), gib(2));
    const Memory own = memory(machine.root());
    CHECK(own.limit_left_bytes == 11 * (kGiB / 2));
    CHECK(own.limit_from == "/sys/fs/cgroup/user.slice/app.scope");
    put_group(machine, "user.slice/app.scope", gib(64), gib(1));  // more than there is
    CHECK(memory(machine.root()).limit_left_bytes == 63 * kGiB);
    CHECK(usable_bytes(memory(machine.root())) == 12 * kGiB);
    put_group(machine, "user.slice/app.scope", "max", gib(1));
    CHECK(memory(machine.root()).limit_bytes == 0);
}

TEST_CASE("budget: pages of files that this process has mapped are not free, whoever calls them available") {
    const InventedMachine machine;
    put_meminfo(machine);
    machine.put("proc/self/status", "Name: x\nRssAnon:\t 77 kB\nRssFile:\t " + std::to_string(uint64_t{5} << 20) + " kB");
    CHECK(usable_bytes(memory(machine.root())) == 7 * kGiB);
    machine.put("proc/self/cgroup", "0::/a");
    put_group(machine, "a", gib(8), gib(7), gib(6));  // 1 of the 6 can be taken back
    CHECK(memory(machine.root()).limit_left_bytes == 2 * kGiB);
    CHECK(usable_bytes(memory(machine.root())) == 2 * kGiB);
    put_group(machine, "a", gib(8), gib(3), gib(1));  // other groups have the rest of them
    CHECK(memory(machine.root()).limit_left_bytes == 5 * kGiB);
}

TEST_CASE("budget: memory.high is a limit too") {
    const InventedMachine machine;
    put_meminfo(machine);
    machine.put("proc/self/cgroup", "0::/a");
    put_group(machine, "a", gib(8), gib(1));
    machine.put("sys/fs/cgroup/a/memory.high", gib(5));
    CHECK(memory(machine.root()).limit_bytes == 5 * kGiB);
    CHECK(memory(machine.root()).limit_left_bytes == 4 * kGiB);
    machine.put("sys/fs/cgroup/a/memory.high", gib(9));
    CHECK(memory(machine.root()).limit_left_bytes == 7 * kGiB);
    machine.put("sys/fs/cgroup/a/memory.high", "0");
    CHECK(memory(machine.root()).limit_bytes > 0);
    CHECK(usable_bytes(memory(machine.root())) == 0);
}

TEST_CASE("budget: version 1, whose figures have other names") {
    const InventedMachine machine;
    put_meminfo(machine);
    machine.put("proc/self/cgroup", "5:cpuset:/\n4:memory:/a/b");
    machine.put("proc/self/mountinfo", kMount1);
    put_group_v1(machine, "a", gib(4), gib(3), gib(1));
    put_group_v1(machine, "a/b", kNone1, gib(1));
    put_group_v1(machine, "", kNone1, gib(9));
    const Memory m = memory(machine.root());
    CHECK(m.limit_bytes == 4 * kGiB);
    CHECK(m.limit_left_bytes == 2 * kGiB);
    CHECK(m.limit_from == "/sys/fs/cgroup/memory/a");
    put_group_v1(machine, "a", kNone1, gib(3));
    CHECK(memory(machine.root()).limit_bytes == 0);
}

TEST_CASE("budget: hybrid hosts, where either version may hold the limit") {
    const InventedMachine machine;
    put_meminfo(machine);
    machine.put("proc/self/cgroup", "4:memory:/a\n0::/u");
    machine.put("proc/self/mountinfo", std::string(kMount1) + "\n42 32 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw");
    put_group_v1(machine, "a", gib(4), gib(1));
    std::filesystem::create_directories(machine.root() / "sys/fs/cgroup/unified/u");  // no memory controller there
    CHECK(memory(machine.root()).limit_from == "/sys/fs/cgroup/memory/a");
    put_group(machine, "unified/u", gib(3), gib(2));
    const Memory m = memory(machine.root());
    CHECK(m.limit_bytes == 3 * kGiB);
    CHECK(m.limit_left_bytes == kGiB);
    CHECK(m.limit_from == "/sys/fs/cgroup/unified/u");
}

TEST_CASE("budget: containers, whose own group is the mount's root") {
    const InventedMachine machine;
    put_meminfo(machine);
    put_group(machine, "", gib(2), gib(1), gib(0.25));
    for (const char* own : {"0::/docker/abc", "0::/../elsewhere", "0::/"}) {
        CAPTURE(own);
        machine.put("proc/self/cgroup", own);
        CHECK(memory(machine.root()).limit_left_bytes == 5 * (kGiB / 4));
        CHECK(memory(machine.root()).limit_from == "/sys/fs/cgroup");
    }
    put_group(machine, "inner", gib(1), "0");
    machine.put("proc/self/mountinfo", "35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw");
    machine.put("proc/self/cgroup", "0::/docker/abc/inner");
    CHECK(memory(machine.root()).limit_from == "/sys/fs/cgroup/inner");
    machine.put("proc/self/cgroup", "0::/docker/abc");
    CHECK(memory(machine.root()).limit_from == "/sys/fs/cgroup");
}

TEST_CASE("budget: more used than allowed leaves nothing, more given back than used leaves the limit") {
    const InventedMachine machine;
    put_meminfo(machine);
    machine.put("proc/self/cgroup", "0::/a");
    put_group(machine, "a", gib(2), gib(3));
    CHECK(memory(machine.root()).limit_bytes == 2 * kGiB);
    CHECK(memory(machine.root()).limit_left_bytes == 0);
    put_group(machine, "a", gib(2), gib(1), gib(5));
    CHECK(memory(machine.root()).limit_left_bytes == 2 * kGiB);
}

TEST_CASE("budget: damaged limits are none, damaged usage is no usage") {
    const InventedMachine machine;
    put_meminfo(machine);
    machine.put("proc/self/cgroup", "0::/a");
    const std::vector<std::string> damaged = {"", "-1", "2g", "12 34", "99999999999999999999999999", std::string(2 << 20, '1'),
                                              std::string("\0\xff", 2)};
    for (const std::string& text : damaged) {
        CAPTURE(text.substr(0, 12));
        put_group(machine, "a", text, "0");
        CHECK(memory(machine.root()).limit_bytes == 0);
        put_group(machine, "a", gib(2), text, text);
        CHECK(memory(machine.root()).limit_left_bytes == 2 * kGiB);
    }
    for (const std::string& text : {std::string(), std::string("MemAvailable:"), std::string("MemAvailable: -1 kB"),
                                    std::string("MemAvailable: 12GB"), std::string("MemAvailable: 18446744073709551615 kB"),
                                    "MemAvailable: " + std::string(2 << 20, '1'), std::string("\0\xff\n\n ", 5)}) {
        CAPTURE(text.substr(0, 40));
        machine.put("proc/meminfo", text);
        CHECK(memory(machine.root()).available_bytes == 0);
        CHECK(usable_bytes(memory(machine.root())) == 0);
    }
    machine.remove("sys/fs/cgroup/a/memory.max");
    std::filesystem::create_directories(machine.root() / "sys/fs/cgroup/a/memory.max");
    CHECK(memory(machine.root()).limit_bytes == 0);
}

TEST_CASE("budget: pressure of the machine or of the own group, whichever is worse") {
    const InventedMachine machine;
    CHECK(!memory_pressure(machine.root()).known);
    machine.put("proc/pressure/memory", "some avg10=1.50 avg60=0.70 avg300=0.10 total=900\n"
                                        "full avg10=0.25 avg60=0.00 avg300=0.00 total=8");
    Pressure p = memory_pressure(machine.root());
    CHECK(p.known);
    CHECK(p.some_avg10 == 1.5);
    CHECK(p.full_avg10 == 0.25);
    machine.put("proc/self/cgroup", "0::/a");
    const std::string own = "sys/fs/cgroup/a/memory.pressure";
    machine.put(own, "some avg10=44.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=30.00 avg60=0.00 avg300=0.00 total=1");
    CHECK(memory_pressure(machine.root()).some_avg10 == 44);
    CHECK(memory_pressure(machine.root()).full_avg10 == 30);
    machine.put(own, "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1");
    CHECK(memory_pressure(machine.root()).some_avg10 == 1.5);
    CHECK(memory_pressure(machine.root()).full_avg10 == 0.25);
    machine.remove("proc/pressure");
    CHECK(memory_pressure(machine.root()).known);
    machine.remove(own);
    CHECK(!memory_pressure(machine.root()).known);
}

TEST_CASE("budget: damaged pressure is unknown") {
    const InventedMachine machine;
    const std::string full = "\nfull avg10=0.00 avg60=0.00";
    for (const std::string& text : {std::string("some avg10=1.00"), "some avg10=nan avg60=0" + full, "some avg10=inf" + full,
                                    "some avg10=-1.00" + full, "some avg10=100.01" + full, "some avg10=" + full, "some" + full,
                                    "some avg10=1,00 avg60=0" + full, "some avg60=1.00 avg10=1.00" + full,
                                    "most avg10=1.00" + full}) {
        CAPTURE(text);
        machine.put("proc/pressure/memory", text);
        const Pressure p = memory_pressure(machine.root());
        CHECK(!p.known);
        CHECK(p.some_avg10 == 0);
    }
}
