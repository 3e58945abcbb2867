// /proc/self/cgroup names the own group within its hierarchy, /proc/self/mountinfo where which part of that is mounted.
#include "runtime/memory/cgroup.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "runtime/memory/kernel_file.h"

namespace lapidary::runtime {
namespace {

namespace fs = std::filesystem;

struct Mount {
    std::string root;   // the group of the hierarchy that it shows as its topmost
    std::string point;  // where
};

bool has_item(std::string_view list, std::string_view item) {
    const auto items = pieces(list, ',');
    return std::find(items.begin(), items.end(), item) != items.end();
}

// mountinfo writes blanks and backslashes of names in octal: "\040".
std::string unescaped(std::string_view field) {
    const auto octal = [&](size_t at) { return at < field.size() && field[at] >= '0' && field[at] <= '7'; };
    std::string out;
    for (size_t i = 0; i < field.size(); ++i) {
        if (field[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
            out += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
            i += 3;
        } else {
            out += field[i];
        }
    }
    return out;
}

// "35 31 0:32 ROOT POINT rw,relatime shared:1 - TYPE SOURCE OPTIONS", with any number of fields before the dash.
std::vector<Mount> mounts(const fs::path& root, Cgroup version) {
    constexpr size_t kRoot = 3, kPoint = 4, kOptional = 6;
    constexpr std::ptrdiff_t kType = 1, kOptions = 3;  // behind the dash
    std::vector<Mount> out;
    const std::string text = kernel_text(root / "proc/self/mountinfo");
    for (const std::string_view line : pieces(text, '\n')) {
        const auto fields = pieces(line, ' ');
        if (fields.size() < kOptional) continue;
        const auto dash = std::find(fields.begin() + kOptional, fields.end(), "-");
        if (std::distance(dash, fields.end()) <= kOptions) continue;
        if (version == Cgroup::v2 ? dash[kType] == "cgroup2" : dash[kType] == "cgroup" && has_item(dash[kOptions], "memory"))
            out.push_back({unescaped(fields[kRoot]), unescaped(fields[kPoint])});
    }
    out.push_back({"/", version == Cgroup::v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"});  // the usual places
    return out;
}

// "0::/a/b" of version 2, "4:cpu,memory:/a/b" of version 1; empty: unknown.
std::string own_group(const fs::path& root, Cgroup version) {
    const std::string text = kernel_text(root / "proc/self/cgroup");
    for (const std::string_view line : pieces(text, '\n')) {
        const size_t list = line.find(':');
        const size_t path = list == std::string_view::npos ? list : line.find(':', list + 1);  // which may hold colons
        if (path == std::string_view::npos) continue;
        const std::string_view controllers = line.substr(list + 1, path - list - 1);
        if (version == Cgroup::v2 ? line.starts_with("0::") : has_item(controllers, "memory"))
            return std::string(line.substr(path + 1));
    }
    return {};
}

// The group's path within the mount; nothing where the mount does not show it, or the two speak of different namespaces.
std::optional<fs::path> within(const Mount& mount, std::string_view group) {
    if (mount.root != "/") {
        if (!group.starts_with(mount.root)) return std::nullopt;
        group.remove_prefix(mount.root.size());
        if (group.empty()) group = "/";  // the mount shows the own group as its topmost
    }
    if (!group.starts_with('/')) return std::nullopt;
    const fs::path path = fs::path(group).relative_path();
    if (std::find(path.begin(), path.end(), "..") != path.end()) return std::nullopt;
    return path;
}

}  // namespace

std::vector<fs::path> memory_groups(const fs::path& root, Cgroup version) {
    const auto exists = [&](const fs::path& folder) {
        std::error_code missing;
        return fs::is_directory(root / folder.relative_path(), missing);
    };
    const std::string group = own_group(root, version);
    const std::vector<Mount> all = mounts(root, version);
    for (const Mount& mount : all) {
        const auto path = within(mount, group);
        if (!path || !exists(mount.point / *path)) continue;
        std::vector<fs::path> levels = {mount.point};
        for (const fs::path& name : *path)
            if (!name.empty()) levels.push_back(levels.back() / name);
        std::reverse(levels.begin(), levels.end());
        return levels;
    }
    const auto topmost = std::find_if(all.begin(), all.end(), [&](const Mount& mount) { return exists(mount.point); });
    return topmost == all.end() ? std::vector<fs::path>() : std::vector<fs::path>{topmost->point};
}

}  // namespace lapidary::runtime
