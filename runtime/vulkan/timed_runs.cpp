// Submits of one dispatch, twice as many until they last; see timed_runs.h.
#include "runtime/vulkan/timed_runs.h"

#include <chrono>
#include <vector>

#include "base/try.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr size_t kMostRuns = 256;

}  // namespace

double TimedRuns::now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<void> TimedRuns::record(size_t runs) {
    runs_ = runs;
    step_ = std::make_unique<RecordedStep>(queue_, pipelines_, std::vector<Dispatch>(runs, dispatch_), std::vector<size_t>{});
    LAP_ASSIGN(commands_, step_->piece(0));
    return {};
}

Result<void> TimedRuns::settle(double submit_seconds) {
    LAP_TRY(record(1));
    LAP_ASSIGN(double seconds, measure());
    for (;;) {
        LAP_ASSIGN(seconds, measure());
        if (seconds * static_cast<double>(runs_) >= submit_seconds || runs_ >= kMostRuns) return {};
        LAP_TRY(record(runs_ * 2));
    }
}

Result<double> TimedRuns::measure() {
    const double begin = now();
    LAP_ASSIGN(const uint64_t submitted, queue_.submit(commands_));
    LAP_TRY(queue_.wait(submitted));
    return (now() - begin) / static_cast<double>(runs_);
}

}  // namespace lapidary::runtime::vulkan
