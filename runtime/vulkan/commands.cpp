// Recording, submitting, waiting; see commands.h.
#include "runtime/vulkan/commands.h"

#include <algorithm>

#include "base/try.h"
#include "runtime/vulkan/meetings.h"

namespace lapidary::runtime::vulkan {

Result<std::unique_ptr<Queue>> Queue::create(std::shared_ptr<Context> context) {
    auto made = std::unique_ptr<Queue>(new Queue());
    made->context_ = std::move(context);
    const Context& c = *made->context_;
    VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = c.facts().queue_family;
    if (const VkResult r = c.vk().vkCreateCommandPool(c.device(), &pool, nullptr, &made->pool_); r != VK_SUCCESS)
        return failure("no command pool", r);
    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo semaphore{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    semaphore.pNext = &type;
    if (const VkResult r = c.vk().vkCreateSemaphore(c.device(), &semaphore, nullptr, &made->timeline_); r != VK_SUCCESS)
        return failure("no semaphore", r);
    return made;
}

Queue::~Queue() {
    const Context& c = *context_;
    {
        const std::lock_guard guard(c.queue_lock());
        c.vk().vkQueueWaitIdle(c.queue());
    }
    if (timeline_) c.vk().vkDestroySemaphore(c.device(), timeline_, nullptr);
    if (pool_) c.vk().vkDestroyCommandPool(c.device(), pool_, nullptr);
}

Result<uint64_t> Queue::submit(const Part& part) {
    const Context& c = *context_;
    const uint64_t value = submitted_ + 1;
    constexpr VkPipelineStageFlags kWaiting = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    VkTimelineSemaphoreSubmitInfo timeline{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &value;
    VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    info.pNext = &timeline;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &part.commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &timeline_;
    if (part.awaited) {
        timeline.waitSemaphoreValueCount = info.waitSemaphoreCount = 1;
        timeline.pWaitSemaphoreValues = &part.value;
        info.pWaitSemaphores = &part.awaited;
        info.pWaitDstStageMask = &kWaiting;
    }
    const std::lock_guard guard(c.queue_lock());
    if (const VkResult r = c.vk().vkQueueSubmit(c.queue(), 1, &info, VK_NULL_HANDLE); r != VK_SUCCESS)
        return failure("submitting to " + c.facts().name, r);
    return submitted_ = value;
}

Result<void> Queue::wait(uint64_t submitted) {
    const Context& c = *context_;
    VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
    info.semaphoreCount = 1;
    info.pSemaphores = &timeline_;
    info.pValues = &submitted;
    if (const VkResult r = c.vk().vkWaitSemaphores(c.device(), &info, UINT64_MAX); r != VK_SUCCESS)
        return failure("waiting for " + c.facts().name, r);
    return {};
}

Result<bool> Queue::is_done(uint64_t submitted) const {
    const Context& c = *context_;
    uint64_t done = 0;
    if (const VkResult r = c.vk().vkGetSemaphoreCounterValue(c.device(), timeline_, &done); r != VK_SUCCESS)
        return failure("waiting for " + c.facts().name, r);
    return done >= submitted;
}

Result<void> Queue::run_once(const std::function<void(VkCommandBuffer)>& record) {
    const Context& c = *context_;
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool_;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    if (const VkResult r = c.vk().vkAllocateCommandBuffers(c.device(), &info, &commands); r != VK_SUCCESS)
        return failure("no command buffer", r);
    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    const VkResult began = c.vk().vkBeginCommandBuffer(commands, &begin);
    Result<void> outcome;
    if (began != VK_SUCCESS) {
        outcome = failure("beginning a command buffer", began);
    } else {
        full_barrier(c.vk(), commands);
        record(commands);
        full_barrier(c.vk(), commands);
        const VkResult ended = c.vk().vkEndCommandBuffer(commands);
        if (ended != VK_SUCCESS) outcome = failure("ending a command buffer", ended);
    }
    if (outcome) {
        const auto ticket = submit(commands);
        outcome = ticket ? wait(*ticket) : Result<void>(ticket.error());
    }
    c.vk().vkFreeCommandBuffers(c.device(), pool_, 1, &commands);
    return outcome;
}

void full_barrier(const VolkDeviceTable& vk, VkCommandBuffer commands) {
    VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                            VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT;
    const VkPipelineStageFlags device = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vk.vkCmdPipelineBarrier(commands, device | VK_PIPELINE_STAGE_HOST_BIT, device | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier,
                            0, nullptr, 0, nullptr);
}

namespace {

void compute_barrier(const VolkDeviceTable& vk, VkCommandBuffer commands) {
    VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    vk.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier,
                            0, nullptr, 0, nullptr);
}

void record_dispatch(const VolkDeviceTable& vk, VkCommandBuffer commands, VkPipelineLayout layout, VkPipeline pipeline,
                     const Dispatch& d) {
    std::array<std::byte, kPushBytes> push{};
    size_t used = 0;
    for (const Range& r : d.ranges) {
        std::memcpy(push.data() + used, &r.address, sizeof r.address);
        used += sizeof r.address;
    }
    std::memcpy(push.data() + used, d.scalars.data(), d.scalars.size());
    vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vk.vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes, push.data());
    vk.vkCmdDispatch(commands, d.groups[0], d.groups[1], d.groups[2]);
}

// Labels of one command buffer: whatever stands open when it ends is closed.
class OpenLabels {
  public:
    OpenLabels(const Context& context, VkCommandBuffer commands, const std::vector<OperationLabel>& labels)
        : context_(context), commands_(commands), labels_(labels) {}
    void move_to(uint32_t operation) {
        if (labels_.empty() || open_ == &labels_[operation]) return;
        const OperationLabel& next = labels_[operation];
        const bool same_layer = open_ && open_->layer == next.layer;
        close(!same_layer);
        if (!same_layer && !next.layer.empty()) context_.begin_label(commands_, next.layer);
        context_.begin_label(commands_, next.operation);
        open_ = &next;
    }
    void close(bool layer = true) {
        if (!open_) return;
        context_.end_label(commands_);
        if (layer && !open_->layer.empty()) context_.end_label(commands_);
        open_ = nullptr;
    }

  private:
    const Context& context_;
    VkCommandBuffer commands_;
    const std::vector<OperationLabel>& labels_;
    const OperationLabel* open_ = nullptr;
};

}  // namespace

RecordedStep::RecordedStep(Queue& queue, Pipelines& pipelines, std::vector<Dispatch> dispatches, std::vector<size_t> cuts,
                           const RecordingOptions& options)
    : queue_(queue), pipelines_(pipelines), dispatches_(std::move(dispatches)), cuts_(std::move(cuts)), options_(options),
      barriers_(place_barriers(dispatches_)) {
    int32_t needed = 0;
    for (size_t i = 0; i < barriers_.size(); ++i)
        if (barriers_[i] && needed++ == options.omit_barrier) barriers_[i] = false;
}

RecordedStep::~RecordedStep() {
    const Context& c = *queue_.context();
    for (VkCommandBuffer commands : recorded_) c.vk().vkFreeCommandBuffers(c.device(), queue_.pool(), 1, &commands);
}

size_t RecordedStep::barriers() const {
    return options_.barrier_everywhere ? dispatches_.size()
                                       : static_cast<size_t>(std::count(barriers_.begin(), barriers_.end(), true));
}

bool RecordedStep::takes(size_t i) const { return i > 0 && dispatches_[cuts_[i - 1]].meeting == Meeting::take; }

Result<VkCommandBuffer> RecordedStep::piece(size_t i) {
    if (i < recorded_.size()) return recorded_[i];
    const Context& c = *queue_.context();
    if (i == 0 && options_.find_hazards)
        if (const auto hazard = find_hazard(dispatches_, barriers_)) return Error{Errc::internal, *hazard};
    std::vector<VkPipeline> pipelines;
    const size_t begin = i == 0 ? 0 : cuts_[i - 1], end = i < cuts_.size() ? cuts_[i] : dispatches_.size();
    for (size_t d = begin; d < end; ++d) {
        VkPipeline& pipeline = pipelines.emplace_back(VK_NULL_HANDLE);
        if (dispatches_[d].meeting != Meeting::none) continue;
        LAP_ASSIGN(pipeline, pipelines_.get(dispatches_[d].pipeline));
    }
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = queue_.pool();
    info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    if (const VkResult r = c.vk().vkAllocateCommandBuffers(c.device(), &info, &commands); r != VK_SUCCESS)
        return failure("no command buffer", r);
    if (const auto done = record(i, commands, pipelines); !done) {
        c.vk().vkFreeCommandBuffers(c.device(), queue_.pool(), 1, &commands);
        return done.error();
    }
    recorded_.push_back(commands);
    return commands;
}

Result<void> RecordedStep::record(size_t piece, VkCommandBuffer commands, std::span<const VkPipeline> pipelines) {
    const Context& c = *queue_.context();
    const VolkDeviceTable& vk = c.vk();
    const size_t begin = piece == 0 ? 0 : cuts_[piece - 1];
    const bool is_last = piece + 1 == pieces();
    const auto stamp = [&] {
        if (options_.timestamps)
            vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, options_.timestamps, stamp_++);
    };
    VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    if (const VkResult r = vk.vkBeginCommandBuffer(commands, &info); r != VK_SUCCESS)
        return failure("beginning a command buffer", r);
    if (piece == 0) {
        for (const BufferCopy& copy : before_) vk.vkCmdCopyBuffer(commands, copy.from, copy.to, 1, &copy.region);
        full_barrier(vk, commands);  // what the host and earlier steps wrote
        if (options_.timestamps && !dispatches_.empty())
            vk.vkCmdResetQueryPool(commands, options_.timestamps, 0, dispatches_.back().operation + 2);
        stamp();
    }
    OpenLabels labels(c, commands, labels_);
    for (size_t i = 0; i < pipelines.size(); ++i) {
        const Dispatch& d = dispatches_[begin + i];
        labels.move_to(d.operation);
        for (; operation_ < d.operation; ++operation_) stamp();
        if (barriers_[begin + i] || options_.barrier_everywhere)
            d.meeting == Meeting::give ? full_barrier(vk, commands) : compute_barrier(vk, commands);
        switch (d.meeting) {
            case Meeting::none: record_dispatch(vk, commands, pipelines_.layout(), pipelines[i], d); break;
            case Meeting::give: options_.meetings->record_give(commands, given_++); break;
            case Meeting::take: options_.meetings->record_take(commands); break;
        }
    }
    labels.close();
    if (is_last) {
        stamp();
        full_barrier(vk, commands);
    }
    if (const VkResult r = vk.vkEndCommandBuffer(commands); r != VK_SUCCESS) return failure("ending a command buffer", r);
    return {};
}

}  // namespace lapidary::runtime::vulkan
