// Where a step and the CPU wait for each other (ADR 22): for each give() an event that the GPU raises, for each take() a timeline
// semaphore that reaches the step's number. They belong to the device and serve one step at a time; recordings name events by their
// number in the step.
// One caller at a time.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "runtime/vulkan/commands.h"

namespace lapidary::runtime::vulkan {

class Meetings {
  public:
    explicit Meetings(std::shared_ptr<Context> context) : context_(std::move(context)) {}
    ~Meetings();
    Meetings(const Meetings&) = delete;
    Meetings& operator=(const Meetings&) = delete;

    Result<void> reserve(size_t count);
    // Before a step that has so many is submitted; no other one runs.
    Result<void> reset(size_t count);

    // As the step is recorded. The CPU sees what stands before a full barrier in front of give; what is recorded behind take, which
    // begins a piece of its own, sees what the CPU wrote.
    void record_give(VkCommandBuffer commands, size_t n) const;
    void record_take(VkCommandBuffer commands) const;
    // The piece that begins with take(n), as it is submitted.
    Queue::Part awaiting(VkCommandBuffer commands, size_t n) const { return {commands, pairs_[n].taken, step_}; }

    // Until the GPU has come to give(n), which is part of this submit of the queue or of an earlier one. device_lost where that
    // ends without.
    Result<void> wait_for_gpu(size_t n, Queue& queue, uint64_t submitted) const;
    Result<void> answer(size_t n);  // what waits in take(n) goes on; in their order
    void answer_all();              // and so does all else, for a step that is given up

  private:
    struct Pair {
        VkEvent given = VK_NULL_HANDLE;
        VkSemaphore taken = VK_NULL_HANDLE;
    };
    std::shared_ptr<Context> context_;
    std::vector<Pair> pairs_;
    uint64_t step_ = 0;
    size_t count_ = 0, answered_ = 0;  // of the step
};

}  // namespace lapidary::runtime::vulkan
