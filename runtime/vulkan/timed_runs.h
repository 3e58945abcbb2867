// How long a dispatch takes: many of it in one submit, timed by the host.
#pragma once

#include <memory>

#include "runtime/vulkan/commands.h"

namespace lapidary::runtime::vulkan {

class TimedRuns {
  public:
    // Seconds of a submit beside which what a submit costs by itself is nothing; far from any watchdog's limit.
    static constexpr double kLongSubmit = 0.02;
    static double now();  // seconds of a clock that only goes on

    // The queue and the pipelines must outlive it.
    TimedRuns(Queue& queue, Pipelines& pipelines, Dispatch dispatch)
        : queue_(queue), pipelines_(pipelines), dispatch_(std::move(dispatch)) {}

    // Runs it once, since drivers may compile then, and finds how many of it last so long: at most 256.
    Result<void> settle(double submit_seconds);
    // Seconds of one run, from one submit. After settle().
    Result<double> measure();

  private:
    Result<void> record(size_t runs);

    Queue& queue_;
    Pipelines& pipelines_;
    Dispatch dispatch_;
    size_t runs_ = 0;
    std::unique_ptr<RecordedStep> step_;
    VkCommandBuffer commands_ = VK_NULL_HANDLE;
};

}  // namespace lapidary::runtime::vulkan
