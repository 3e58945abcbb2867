// Phases of work by a crew of threads, as whoever executes tells of them.
#pragma once

#include <cstdint>
#include <span>

namespace lapidary::runtime {

// What one thread did in a phase, in nanoseconds of steady_clock. items 0: it came too late to find work.
struct alignas(64) ThreadTimes {
    int64_t begin_ns = 0, end_ns = 0, items = 0;
};
struct PhaseTimes {
    int64_t begin_ns = 0, end_ns = 0;      // as the caller of run() saw it
    std::span<const ThreadTimes> threads;  // [0] is the caller
};
class PhaseObserver {
  public:
    virtual ~PhaseObserver() = default;
    virtual void phase(const PhaseTimes& times) = 0;  // on the caller's thread, after the phase
};

}  // namespace lapidary::runtime
