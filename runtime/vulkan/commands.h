// Command buffers: what a step noted, recorded once and submitted as often as wanted; and single transfers outside of
// steps. One caller at a time.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/vulkan/dispatch.h"

namespace lapidary::runtime::vulkan {

// A pool, a fence for waiting, and nothing else that is shared.
class Queue {
  public:
    static Result<std::unique_ptr<Queue>> create(std::shared_ptr<Context> context);
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    const std::shared_ptr<Context>& context() const { return context_; }
    VkCommandPool pool() const { return pool_; }

    // Submits; the returned number goes to wait(). Work of one queue runs in the order of its submits.
    Result<uint64_t> submit(VkCommandBuffer commands);
    Result<void> wait(uint64_t submitted);
    Result<bool> is_done(uint64_t submitted) const;

    // Records with `record`, submits and waits.
    Result<void> run_once(const std::function<void(VkCommandBuffer)>& record);

  private:
    Queue() = default;
    std::shared_ptr<Context> context_;
    VkCommandPool pool_ = VK_NULL_HANDLE;
    VkSemaphore timeline_ = VK_NULL_HANDLE;  // reaches n when submit n is done
    uint64_t submitted_ = 0;
};

// Memory written by shaders, transfers and the host before it is there for shaders, transfers and the host behind it.
void full_barrier(const VolkDeviceTable& vk, VkCommandBuffer commands);

// How a step is recorded.
struct RecordingOptions {
    bool barrier_everywhere = false;        // behind every dispatch: must give the same bits
    int32_t omit_barrier = -1;              // the n-th of those needed: a mistake for tests
    VkQueryPool timestamps = VK_NULL_HANDLE;  // one before the first operation and one behind each
};

// One piece of a step: dispatches that go to the queue together.
struct Piece {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    int32_t layer = -1;  // the first layer in it; -1: none begins here
};

// Bytes copied at the front of a step's first piece, or behind its last.
struct BufferCopy {
    VkBuffer from = VK_NULL_HANDLE, to = VK_NULL_HANDLE;
    VkBufferCopy region{};
};

// A step as the GPU runs it.
class RecordedStep {
  public:
    // `cuts`: the dispatches, ascending, at which a new piece begins, each with its layer.
    struct Cut {
        size_t dispatch;
        int32_t layer;
    };
    static Result<std::unique_ptr<RecordedStep>> create(Queue& queue, Pipelines& pipelines, std::span<const Dispatch> dispatches,
                                                        std::span<const Cut> cuts, std::span<const BufferCopy> before,
                                                        std::span<const BufferCopy> after, const RecordingOptions& options);
    ~RecordedStep();
    RecordedStep(const RecordedStep&) = delete;
    RecordedStep& operator=(const RecordedStep&) = delete;

    std::span<const Piece> pieces() const { return pieces_; }
    size_t dispatches() const { return dispatches_; }
    size_t barriers() const { return barriers_; }

  private:
    explicit RecordedStep(Queue& queue) : queue_(queue) {}
    Queue& queue_;
    std::vector<Piece> pieces_;
    size_t dispatches_ = 0, barriers_ = 0;
};

}  // namespace lapidary::runtime::vulkan
