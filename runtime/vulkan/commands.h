// Command buffers: what a step noted, recorded once and submitted as often as wanted; and single transfers outside of
// steps. One caller at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
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

    // What is submitted begins when the semaphore, if there is one, has reached the value.
    struct Part {
        VkCommandBuffer commands = VK_NULL_HANDLE;
        VkSemaphore awaited = VK_NULL_HANDLE;
        uint64_t value = 0;
    };
    // Submits; the returned number goes to wait(). Work of one queue runs in the order of its submits.
    Result<uint64_t> submit(const Part& part);
    Result<uint64_t> submit(VkCommandBuffer commands) { return submit(Part{commands}); }
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

#ifdef NDEBUG
inline constexpr bool kFindHazards = false;
#else
inline constexpr bool kFindHazards = true;
#endif

class Meetings;

// How a step is recorded.
struct RecordingOptions {
    bool barrier_everywhere = false;        // behind every dispatch: must give the same bits
    int32_t omit_barrier = -1;              // the n-th of those needed: a mistake for tests
    bool find_hazards = kFindHazards;       // a missing barrier is an error of code internal
    VkQueryPool timestamps = VK_NULL_HANDLE;  // one before the first operation and one behind each
    const Meetings* meetings = nullptr;     // of steps that have some
};

// Bytes copied at the front of a step.
struct BufferCopy {
    VkBuffer from = VK_NULL_HANDLE, to = VK_NULL_HANDLE;
    VkBufferCopy region{};
};

// What capture tools show around the dispatches of an operation, and around the operations of a layer; empty: of none.
struct OperationLabel {
    std::string layer, operation;
};

// A step as the GPU runs it: pieces that go to the queue one after the other, each recorded when it is first asked for, so
// that the GPU begins on the first while the next is recorded.
class RecordedStep {
  public:
    // `cuts`: dispatches, ascending, at which a new piece begins; none is 0, and every take is one. The queue and the pipelines must outlive it.
    RecordedStep(Queue& queue, Pipelines& pipelines, std::vector<Dispatch> dispatches, std::vector<size_t> cuts,
                 const RecordingOptions& options = {});
    ~RecordedStep();
    RecordedStep(const RecordedStep&) = delete;
    RecordedStep& operator=(const RecordedStep&) = delete;

    // Before the first piece is asked for.
    void copy_before(const BufferCopy& copy) { before_.push_back(copy); }
    void label(std::vector<OperationLabel> labels) { labels_ = std::move(labels); }  // by Dispatch::operation; with has_labels()

    size_t pieces() const { return cuts_.size() + 1; }
    Result<VkCommandBuffer> piece(size_t i);  // in their order
    bool takes(size_t i) const;               // piece i begins with a take

    std::span<const Dispatch> dispatches() const { return dispatches_; }
    size_t barriers() const;

  private:
    Result<void> record(size_t piece, VkCommandBuffer commands, std::span<const VkPipeline> pipelines);

    Queue& queue_;
    Pipelines& pipelines_;
    std::vector<Dispatch> dispatches_;
    std::vector<size_t> cuts_;
    RecordingOptions options_;
    std::vector<bool> barriers_;
    std::vector<BufferCopy> before_;
    std::vector<OperationLabel> labels_;
    std::vector<VkCommandBuffer> recorded_;
    uint32_t operation_ = 0, stamp_ = 0;  // that timestamps are at
    size_t given_ = 0;                    // meetings that are recorded
};

}  // namespace lapidary::runtime::vulkan
