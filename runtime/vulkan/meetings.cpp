// An event towards the CPU, a semaphore towards the GPU; see meetings.h.
#include "runtime/vulkan/meetings.h"

#include <chrono>
#include <thread>

#include "base/try.h"

namespace lapidary::runtime::vulkan {

Meetings::~Meetings() {
    for (const Pair& p : pairs_) {
        context_->vk().vkDestroyEvent(context_->device(), p.given, nullptr);
        context_->vk().vkDestroySemaphore(context_->device(), p.taken, nullptr);
    }
}

Result<void> Meetings::reserve(size_t count) {
    const VkEventCreateInfo event{VK_STRUCTURE_TYPE_EVENT_CREATE_INFO};
    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo semaphore{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    semaphore.pNext = &type;
    while (pairs_.size() < count) {
        Pair pair;
        if (const VkResult r = context_->vk().vkCreateEvent(context_->device(), &event, nullptr, &pair.given); r != VK_SUCCESS)
            return failure("no event", r);
        if (const VkResult r = context_->vk().vkCreateSemaphore(context_->device(), &semaphore, nullptr, &pair.taken); r != VK_SUCCESS) {
            context_->vk().vkDestroyEvent(context_->device(), pair.given, nullptr);
            return failure("no semaphore", r);
        }
        pairs_.push_back(pair);
    }
    return {};
}

Result<void> Meetings::reset(size_t count) {
    ++step_;
    count_ = count;
    answered_ = 0;
    for (size_t n = 0; n < count; ++n)
        if (const VkResult r = context_->vk().vkResetEvent(context_->device(), pairs_[n].given); r != VK_SUCCESS)
            return failure("resetting an event", r);
    return {};
}

void Meetings::record_give(VkCommandBuffer commands, size_t n) const {
    context_->vk().vkCmdSetEvent(commands, pairs_[n].given, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
}

void Meetings::record_take(VkCommandBuffer commands) const {
    VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    barrier.srcAccessMask = VK_ACCESS_HOST_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    context_->vk().vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0,
                                        nullptr, 0, nullptr);
}

Result<void> Meetings::wait_for_gpu(size_t n, Queue& queue, uint64_t submitted) const {
    constexpr int kBusyPolls = 2000, kPollsPerLook = 64;  // some hundred microseconds, in which most products are done
    bool over = false;
    for (int polls = 0;; ++polls) {
        const VkResult r = context_->vk().vkGetEventStatus(context_->device(), pairs_[n].given);
        if (r == VK_EVENT_SET) return {};
        if (r != VK_EVENT_RESET) return failure("waiting for " + context_->facts().name, r);
        if (over) return failure("waiting for " + context_->facts().name, VK_ERROR_DEVICE_LOST);
        if (polls < kBusyPolls) continue;
        if (context_->facts().software) std::this_thread::sleep_for(std::chrono::microseconds(50));  // it needs the core
        else std::this_thread::yield();
        if (polls % kPollsPerLook > 0) continue;
        LAP_ASSIGN(over, queue.is_done(submitted));
    }
}

Result<void> Meetings::answer(size_t n) {
    VkSemaphoreSignalInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO};
    info.semaphore = pairs_[n].taken;
    info.value = step_;
    const VkResult r = context_->vk().vkSignalSemaphore(context_->device(), &info);
    if (r != VK_SUCCESS) return failure("answering " + context_->facts().name, r);
    answered_ = n + 1;
    return {};
}

void Meetings::answer_all() {
    for (size_t n = answered_; n < count_; ++n) (void)answer(n);  // of a device that is lost nobody waits
    answered_ = count_;
}

}  // namespace lapidary::runtime::vulkan
