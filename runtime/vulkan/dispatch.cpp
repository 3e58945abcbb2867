// Hazards; see dispatch.h.
#include "runtime/vulkan/dispatch.h"

#include <algorithm>
#include <map>

#include "base/describe.h"

namespace lapidary::runtime::vulkan {
namespace {

bool overlap(const Range& a, const Range& b) {
    if (!a.owner || a.owner != b.owner || a.begin >= b.end || b.begin >= a.end) return false;
    if (a.pitch == 0 || a.pitch != b.pitch) return true;
    const uint64_t from_b = a.begin > b.begin ? (a.begin - b.begin) % a.pitch : (a.pitch - (b.begin - a.begin) % a.pitch) % a.pitch;
    return from_b < b.width || a.pitch - from_b < a.width;  // columns side by side do not meet
}

// A letter for each range.
std::string_view access_of(const Dispatch& d) { return d.meeting == Meeting::none ? row_of(d.pipeline.shader).pointers : "rwwww"; }

bool conflict(const Dispatch& a, const Dispatch& b) {
    const std::string_view mine = access_of(a), theirs = access_of(b);
    for (size_t p = 0; p < a.ranges.size(); ++p)
        for (size_t q = 0; q < b.ranges.size(); ++q)
            if ((mine[p] != 'r' || theirs[q] != 'r') && overlap(a.ranges[p], b.ranges[q])) return true;
    return false;
}

// Ranges touched since the last barrier, by owner.
class Touched {
  public:
    void add(const Range& r) {
        if (r.owner) of_[r.owner].push_back(r);
    }
    bool meets(const Range& r) const {
        const auto found = of_.find(r.owner);
        return r.owner && found != of_.end() &&
               std::any_of(found->second.begin(), found->second.end(), [&](const Range& o) { return overlap(o, r); });
    }
    void clear() { of_.clear(); }

  private:
    std::map<const void*, std::vector<Range>> of_;
};

}  // namespace

std::vector<bool> place_barriers(std::span<const Dispatch> dispatches) {
    std::vector<bool> barriers(dispatches.size());
    Touched read, written;
    for (size_t i = 0; i < dispatches.size(); ++i) {
        const Dispatch& d = dispatches[i];
        const std::string_view access = access_of(d);
        barriers[i] = d.meeting == Meeting::give;
        for (size_t p = 0; p < d.ranges.size() && !barriers[i]; ++p)
            barriers[i] = written.meets(d.ranges[p]) || (access[p] != 'r' && read.meets(d.ranges[p]));
        if (barriers[i]) {
            read.clear();
            written.clear();
        }
        if (d.meeting != Meeting::none) continue;  // what the CPU touches is kept apart by give and take
        for (size_t p = 0; p < d.ranges.size(); ++p) {
            if (access[p] != 'w') read.add(d.ranges[p]);
            if (access[p] != 'r') written.add(d.ranges[p]);
        }
    }
    return barriers;
}

std::optional<std::string> find_hazard(std::span<const Dispatch> dispatches, const std::vector<bool>& barriers) {
    const auto name = [&](size_t i) {
        return dispatches[i].meeting == Meeting::none ? concat(row_of(dispatches[i].pipeline.shader).name, " (dispatch ", i, ")")
                                                      : concat("the CPU (from dispatch ", i, " on)");
    };
    size_t since = 0;
    std::optional<size_t> given;
    for (size_t i = 0; i < dispatches.size(); ++i) {
        const Dispatch& d = dispatches[i];
        if (barriers[i]) since = i;
        if (given && d.meeting != Meeting::take && (d.meeting == Meeting::give || conflict(d, dispatches[*given])))
            return concat(name(i), " and ", name(*given), " touch the same memory without a meeting between them");
        if (d.meeting != Meeting::none) {
            given = d.meeting == Meeting::give ? std::optional(i) : std::nullopt;
            if (given && since != i) return concat(name(i), " meets the GPU without a barrier");
            continue;
        }
        const ShaderRow& row = row_of(d.pipeline.shader);
        if (d.ranges.size() != row.pointers.size() || d.scalars.size() != row.scalars)
            return concat(name(i), " has ", d.ranges.size(), " addresses and ", d.scalars.size(), " bytes of scalars, its row ",
                          row.pointers.size(), " and ", row.scalars);
        for (size_t before = since; before < i; ++before)
            if (dispatches[before].meeting == Meeting::none && conflict(d, dispatches[before]))
                return concat(name(i), " and ", name(before), " touch the same memory without a barrier between them");
    }
    if (given) return concat(name(*given), " never has its meeting");
    return {};
}

}  // namespace lapidary::runtime::vulkan
