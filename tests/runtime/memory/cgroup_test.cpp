#include "runtime/memory/cgroup.h"

#include <doctest/doctest.h>

#include "tests/support/invented_machine.h"

using namespace lapidary::runtime;
using lapidary::test::InventedMachine;
using Groups = std::vector<std::filesystem::path>;

namespace {

constexpr const char* kMount2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
constexpr const char* kMount1 = "41 32 0:36 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory";

void make_folder(const InventedMachine& machine, const std::string& folder) {
    std::filesystem::create_directories(machine.root() / folder);
}

}  // namespace

TEST_CASE("cgroup: from the own group to the mount's root") {
    const InventedMachine machine;
    machine.put("proc/self/cgroup", "0::/user.slice/app.scope");
    machine.put("proc/self/mountinfo", kMount2);
    make_folder(machine, "sys/fs/cgroup/user.slice/app.scope");
    const Groups expected = {"/sys/fs/cgroup/user.slice/app.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"};
    CHECK(memory_groups(machine.root(), Cgroup::v2) == expected);
    CHECK(memory_groups(machine.root(), Cgroup::v1).empty());
    machine.remove("proc/self/mountinfo");  // the usual place
    CHECK(memory_groups(machine.root(), Cgroup::v2) == expected);
    machine.put("proc/self/cgroup", "0::/");
    CHECK(memory_groups(machine.root(), Cgroup::v2) == Groups{"/sys/fs/cgroup"});
}

TEST_CASE("cgroup: version 1 is the hierarchy that lists memory, whatever else it lists, and names may hold colons") {
    const InventedMachine machine;
    machine.put("proc/self/cgroup", "9:name=systemd:/x\n5:cpuset:/y\n4:cpu,memory:/a:b\n0::/z");
    machine.put("proc/self/mountinfo", "40 32 0:35 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                                       "41 32 0:36 / /sys/fs/cgroup/cpu,memory rw shared:1 master:2 - cgroup none rw,cpu,memory\n"
                                       "42 32 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw");
    for (const char* folder : {"cpuset/a:b", "cpu,memory/a:b", "unified/z"})
        make_folder(machine, std::string("sys/fs/cgroup/") + folder);
    CHECK(memory_groups(machine.root(), Cgroup::v1) == Groups{"/sys/fs/cgroup/cpu,memory/a:b", "/sys/fs/cgroup/cpu,memory"});
    CHECK(memory_groups(machine.root(), Cgroup::v2) == Groups{"/sys/fs/cgroup/unified/z", "/sys/fs/cgroup/unified"});
}

TEST_CASE("cgroup: a mount that shows a part of the hierarchy") {
    const InventedMachine machine;
    machine.put("proc/self/mountinfo", "41 32 0:36 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory");
    make_folder(machine, "sys/fs/cgroup/memory/inner");
    machine.put("proc/self/cgroup", "4:memory:/docker/abc/inner");
    CHECK(memory_groups(machine.root(), Cgroup::v1) == Groups{"/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"});
    machine.put("proc/self/cgroup", "4:memory:/docker/abc");
    CHECK(memory_groups(machine.root(), Cgroup::v1) == Groups{"/sys/fs/cgroup/memory"});
    // Another group, whose name merely begins so: what the mount shows is not above it, and is all there is to go by.
    machine.put("proc/self/cgroup", "4:memory:/docker/abcinner");
    CHECK(memory_groups(machine.root(), Cgroup::v1) == Groups{"/sys/fs/cgroup/memory"});
}

TEST_CASE("cgroup: of several mounts the one that shows the own group") {
    const InventedMachine machine;
    machine.put("proc/self/cgroup", "0::/a/b");
    machine.put("proc/self/mountinfo", "50 24 0:30 /o /mnt/other rw - cgroup2 none rw\n"
                                       "51 24 0:30 / /mnt/with\\040blank rw - cgroup2 none rw");
    make_folder(machine, "mnt/other/b");
    make_folder(machine, "mnt/with blank/a/b");
    CHECK(memory_groups(machine.root(), Cgroup::v2) == Groups{"/mnt/with blank/a/b", "/mnt/with blank/a", "/mnt/with blank"});
    machine.put("proc/self/mountinfo", "50 24 0:30 /o /mnt/other rw - cgroup2 none rw\n"
                                       "51 24 0:30 /a/b /mnt/with\\040blank rw - cgroup2 none rw");
    CHECK(memory_groups(machine.root(), Cgroup::v2) == Groups{"/mnt/with blank"});
}

TEST_CASE("cgroup: groups of another namespace, groups that are gone and damaged files leave the mount's root") {
    const InventedMachine machine;
    machine.put("proc/self/mountinfo", kMount2);
    make_folder(machine, "sys/fs/cgroup/a");
    make_folder(machine, "sys/fs/elsewhere");
    const std::string deep = "0::" + std::string(5000, '/') + "x", long_name = "0::/" + std::string(9000, 'x');
    for (const std::string& own : {std::string("0::/docker/abc"), std::string("0::/../../a"), std::string("0::/../elsewhere"),
                                   std::string("0::/a (deleted)"), std::string("0::a"), std::string("0::"), std::string("0:"),
                                   std::string("::::"), std::string("\0\xff", 2), std::string(), deep, long_name}) {
        CAPTURE(own.substr(0, 40));
        machine.put("proc/self/cgroup", own);
        CHECK(memory_groups(machine.root(), Cgroup::v2) == Groups{"/sys/fs/cgroup"});
    }
    machine.remove("proc/self/cgroup");
    CHECK(memory_groups(machine.root(), Cgroup::v2) == Groups{"/sys/fs/cgroup"});
}

TEST_CASE("cgroup: damaged lines of mountinfo are passed over") {
    const InventedMachine machine;
    machine.put("proc/self/cgroup", "4:memory:/a");
    machine.put("proc/self/mountinfo", std::string("\n- - -\n1 2 3 4 5\n1 2 0:3 / /bad rw - cgroup\n"
                                                   "1 2 0:3 / /bad rw cgroup cgroup rw,memory\n"
                                                   "1 2 0:3 / /b\\9d rw - cgroup cgroup rw,memory\n"
                                                   "1 2 0:3 / /bad\\0 rw - cgroup x rw,memory\n") + kMount1);
    make_folder(machine, "sys/fs/cgroup/memory/a");
    make_folder(machine, "bad/a");
    CHECK(memory_groups(machine.root(), Cgroup::v1) == Groups{"/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"});
    CHECK(memory_groups(machine.root() / "bad", Cgroup::v1).empty());
}
