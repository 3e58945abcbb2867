// Ranges of the sampler's settings; see sampling_defaults.h.
#include "model/load/sampling_defaults.h"

#include <algorithm>
#include <cfloat>
#include <cstdio>

#include "base/describe.h"

namespace lapidary::model {
namespace {

std::string short_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

struct Range {
    const char* name;
    double low, high;
};

float usable(const Result<double>& found, const Range& range, float published, const std::string& where,
             std::vector<std::string>& notes) {
    const std::string instead = concat("; the published ", short_number(published), " is used");
    if (!found) {
        notes.push_back(found.error().message + instead);
        return published;
    }
    if (*found >= range.low && *found <= range.high) return static_cast<float>(*found);
    notes.push_back(concat(where, ": the default ", range.name, " is ", short_number(*found), instead));
    return published;
}

}  // namespace

SamplingDefaults usable_sampling(const FoundSampling& found, const std::string& where,
                                 std::vector<std::string>& notes) {
    const SamplingDefaults published;
    SamplingDefaults out;
    out.temperature = usable(found.temperature, {"temperature", 0, FLT_MAX}, published.temperature, where, notes);
    out.top_p = usable(found.top_p, {"top_p", FLT_MIN, 1}, published.top_p, where, notes);
    out.min_p = usable(found.min_p, {"min_p", 0, 1}, published.min_p, where, notes);
    if (found.top_k)
        out.top_k = std::max(*found.top_k, 0);  // other programs write -1 for off
    else
        notes.push_back(concat(found.top_k.error().message, "; the published ", published.top_k, " is used"));
    return out;
}

}  // namespace lapidary::model
