// /proc/meminfo, control groups, pressure stall information, getrusage.
#include "runtime/memory/budget.h"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "runtime/memory/cgroup.h"
#include "runtime/memory/kernel_file.h"

namespace lapidary::runtime {
namespace {

namespace fs = std::filesystem;

// Version 1 says "none" by the largest multiple of a page below 2^63.
constexpr uint64_t kNoLimit = uint64_t{1} << 60;

struct GroupFiles {
    Cgroup version;
    std::vector<const char*> limits;
    const char* usage;
    std::vector<const char*> given_back;  // keys in memory.stat; all count the groups below too
};

// Above memory.high a process is slowed down until it seems to hang, which is no better than being killed at memory.max.
const GroupFiles kGroupFiles[] = {
    {Cgroup::v2, {"memory.max", "memory.high"}, "memory.current", {"inactive_file", "active_file"}},
    {Cgroup::v1, {"memory.limit_in_bytes"}, "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}},
};

uint64_t bytes_behind(std::string_view meminfo, std::string_view key) {
    const uint64_t kib = number_behind(meminfo, key).value_or(0);
    return kib < kNoLimit >> 10 ? kib << 10 : 0;
}

void apply_limits(const fs::path& root, const GroupFiles& files, Memory& m) {
    for (const fs::path& group : memory_groups(root, files.version)) {
        const fs::path folder = root / group.relative_path();
        uint64_t limit = kNoLimit;
        for (const char* file : files.limits)  // "max" is no number
            limit = std::min(limit, whole_number(kernel_text(folder / file)).value_or(kNoLimit));
        if (limit == kNoLimit) continue;
        const uint64_t usage = whole_number(kernel_text(folder / files.usage)).value_or(0);
        const std::string stat = kernel_text(folder / "memory.stat");
        uint64_t kept = usage;
        uint64_t pages = 0;  // of files
        for (const char* key : files.given_back) pages += std::min(kNoLimit, number_behind(stat, key).value_or(0));
        kept -= std::min(kept, pages - std::min(pages, m.mapped_bytes));
        const uint64_t left = limit - std::min(limit, kept);
        limit = std::max<uint64_t>(limit, 1);  // memory.high may be 0, which stands for none here
        if (m.limit_bytes == 0 || left < m.limit_left_bytes) {
            m.limit_left_bytes = left;
            m.limit_from = group.string();
        }
        m.limit_bytes = m.limit_bytes == 0 ? limit : std::min(m.limit_bytes, limit);
    }
}

// Of the line "some avg10=0.12 avg60=0.05 avg300=0.01 total=4711".
std::optional<double> avg10(std::string_view text, std::string_view kind) {
    constexpr std::string_view kKey = "avg10=";
    for (const std::string_view line : pieces(text, '\n')) {
        const auto words = pieces(line, ' ');
        if (words.size() < 2 || words[0] != kind || !words[1].starts_with(kKey)) continue;
        const std::string_view number = words[1].substr(kKey.size());
        double percent = -1;
        const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), percent);
        if (problem == std::errc() && end == number.data() + number.size() && percent >= 0 && percent <= 100) return percent;
    }
    return std::nullopt;
}

Pressure pressure_in(const fs::path& file) {
    const std::string text = kernel_text(file);
    const auto some = avg10(text, "some"), full = avg10(text, "full");
    if (!some || !full) return {};
    return {*some, *full, true};
}

}  // namespace

Memory memory(const fs::path& root) {
    Memory m;
    const std::string meminfo = kernel_text(root / "proc/meminfo");
    m.total_bytes = bytes_behind(meminfo, "MemTotal:");
    m.available_bytes = bytes_behind(meminfo, "MemAvailable:");
    m.swap_free_bytes = bytes_behind(meminfo, "SwapFree:");
    m.mapped_bytes = bytes_behind(kernel_text(root / "proc/self/status"), "RssFile:");
    for (const GroupFiles& files : kGroupFiles) apply_limits(root, files, m);
    return m;
}

uint64_t usable_bytes(const Memory& memory) {
    const uint64_t available = memory.available_bytes - std::min(memory.available_bytes, memory.mapped_bytes);
    return memory.limit_bytes == 0 ? available : std::min(available, memory.limit_left_bytes);
}

Pressure memory_pressure(const fs::path& root) {
    Pressure worse = pressure_in(root / "proc/pressure/memory");
    const auto groups = memory_groups(root, Cgroup::v2);
    if (groups.empty()) return worse;
    const Pressure own = pressure_in(root / groups.front().relative_path() / "memory.pressure");
    worse.some_avg10 = std::max(worse.some_avg10, own.some_avg10);
    worse.full_avg10 = std::max(worse.full_avg10, own.full_avg10);
    worse.known = worse.known || own.known;
    return worse;
}

uint64_t peak_rss_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_maxrss) << 10;
}

}  // namespace lapidary::runtime
