// Hazards; see dispatch.h.
#include "runtime/vulkan/dispatch.h"

#include <algorithm>
#include <map>

#include "base/describe.h"

namespace lapidary::runtime::vulkan {
namespace {

bool overlap(const Range& a, const Range& b) { return a.owner && a.owner == b.owner && a.begin < b.end && b.begin < a.end; }

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
        const std::string_view access = row_of(d.pipeline.shader).pointers;
        for (size_t p = 0; p < d.ranges.size() && !barriers[i]; ++p)
            barriers[i] = written.meets(d.ranges[p]) || (access[p] != 'r' && read.meets(d.ranges[p]));
        if (barriers[i]) {
            read.clear();
            written.clear();
        }
        for (size_t p = 0; p < d.ranges.size(); ++p) {
            if (access[p] != 'w') read.add(d.ranges[p]);
            if (access[p] != 'r') written.add(d.ranges[p]);
        }
    }
    return barriers;
}

std::optional<std::string> find_hazard(std::span<const Dispatch> dispatches, const std::vector<bool>& barriers) {
    const auto name = [&](size_t i) { return concat(row_of(dispatches[i].pipeline.shader).name, " (dispatch ", i, ")"); };
    size_t since = 0;
    for (size_t i = 0; i < dispatches.size(); ++i) {
        const Dispatch& d = dispatches[i];
        const ShaderRow& row = row_of(d.pipeline.shader);
        if (d.ranges.size() != row.pointers.size() || d.scalars.size() != row.scalars)
            return concat(name(i), " has ", d.ranges.size(), " addresses and ", d.scalars.size(), " bytes of scalars, its row ",
                          row.pointers.size(), " and ", row.scalars);
        if (barriers[i]) since = i;
        for (size_t before = since; before < i; ++before) {
            const std::string_view theirs = row_of(dispatches[before].pipeline.shader).pointers;
            for (size_t p = 0; p < d.ranges.size(); ++p)
                for (size_t q = 0; q < dispatches[before].ranges.size(); ++q)
                    if ((row.pointers[p] != 'r' || theirs[q] != 'r') && overlap(d.ranges[p], dispatches[before].ranges[q]))
                        return concat(name(i), " and ", name(before), " touch the same memory without a barrier between them");
        }
    }
    return {};
}

}  // namespace lapidary::runtime::vulkan
