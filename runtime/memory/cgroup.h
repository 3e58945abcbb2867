// The control groups that account for this process's memory, as folders of the file system.
#pragma once

#include <filesystem>
#include <vector>

namespace lapidary::runtime {

enum class Cgroup { v1, v2 };  // v1: the hierarchy of its memory controller. Hybrid hosts have both

// From the process's own group up to the topmost one that its mount shows: "/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a",
// "/sys/fs/cgroup". Where the own group cannot be found (a container whose /proc speaks of the host's groups) the topmost
// alone; empty where no such hierarchy is mounted. `root` is / or a folder with copies of /proc and /sys; the paths do not
// begin with it. Sources: cgroups(7), proc_pid_mountinfo(5).
std::vector<std::filesystem::path> memory_groups(const std::filesystem::path& root, Cgroup version);

}  // namespace lapidary::runtime
