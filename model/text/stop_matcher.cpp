// Plain search in the held-back bytes plus the new text; both are short.
#include "model/text/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/describe.h"
#include "base/utf8.h"

namespace lapidary::model {

Result<StopMatcher> StopMatcher::create(std::vector<std::string> stops) {
    for (size_t i = 0; i < stops.size(); ++i) {
        const std::string name = concat("stop string ", i);
        if (stops[i].empty()) return Error{Errc::invalid_argument, name + " is empty", "leave it out"};
        if (!valid_utf8(stops[i])) return Error{Errc::invalid_argument, name + " is not valid UTF-8", "convert it to UTF-8"};
    }
    return StopMatcher(std::move(stops));
}

StopMatcher::Step StopMatcher::feed(std::string_view text) {
    if (stopped_) return {{}, true};
    held_ += text;
    size_t best_begin = 0;
    size_t best_end = std::string::npos;
    for (const std::string& stop : stops_) {
        const size_t begin = held_.find(stop);
        if (begin == std::string::npos) continue;
        const size_t end = begin + stop.size();
        if (best_end != std::string::npos && (end > best_end || (end == best_end && begin > best_begin)))
            continue;
        best_begin = begin;
        best_end = end;
    }
    stopped_ = best_end != std::string::npos;
    const size_t shown_bytes = stopped_ ? best_begin : held_.size() - held_bytes();
    Step step{held_.substr(0, shown_bytes), stopped_};
    held_.erase(0, stopped_ ? held_.size() : shown_bytes);
    return step;
}

bool StopMatcher::completes(std::string_view text) const {
    if (text.empty() || stops_.empty()) return false;
    const std::string whole = concat(held_, text);
    return std::any_of(stops_.begin(), stops_.end(), [&](const std::string& stop) { return whole.find(stop) != std::string::npos; });
}

size_t StopMatcher::held_bytes() const {
    size_t longest = 0;
    for (const std::string& stop : stops_) {
        for (size_t length = std::min(stop.size() - 1, held_.size()); length > longest; --length) {
            if (!held_.ends_with(std::string_view(stop).substr(0, length))) continue;
            longest = length;
            break;
        }
    }
    return longest;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace lapidary::model
