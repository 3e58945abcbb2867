// Chunks of work through stages, each on a thread of its own: a stage works on a chunk while the next one has the chunk before.
// What a stage leaves stays where it is, so it begins its next chunk only when the next stage has taken it: with as little as
// that, both of two stages wait only for the slower one.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "lapidary/result.h"

namespace lapidary::runtime {

// What a stage goes on after: that another stage has finished a chunk or taken it over.
struct PipelineEvent {
    enum class Kind : uint8_t { finished, taken } kind;
    size_t stage = 0;
    int32_t chunk = 0;
};

// Told by the stages' own threads, one at a time.
class PipelineObserver {
  public:
    virtual ~PipelineObserver() = default;
    virtual void happened(const PipelineEvent& event) = 0;
    virtual void waits(size_t stage) = 0;                                 // from here on
    virtual void goes_on(size_t stage, const PipelineEvent& after) = 0;  // also without having waited
};

// What a stage does with a chunk. `taken` is to be called once, as soon as nothing is needed any more of what the stage before
// left. `stopping` tells that other stages failed: what is done from then on is for nothing.
struct PipelineChunk {
    int32_t number = 0;
    const std::function<void()>& taken;
    const std::function<bool()>& stopping;
};
using PipelineStage = std::function<Result<void>(const PipelineChunk& chunk)>;

struct PipelineEnd {
    int32_t done = 0;      // chunks that went through all stages
    Result<void> outcome;  // the first error of any stage
};

// Chunks 0 to count - 1, until `more` (asked by the first stage in front of each chunk but the first) says no. The first stage
// works on the caller's thread, and so may call what only that thread may; what it or another throws is thrown here, when all
// have stopped. At least one stage.
PipelineEnd run_pipeline(int32_t count, std::span<const PipelineStage> stages, const std::function<bool()>& more,
                         PipelineObserver* observer = nullptr);

}  // namespace lapidary::runtime
