// Events, set by one side and waited for by the other; see meetings.h.
#include "runtime/vulkan/meetings.h"

#include <chrono>
#include <thread>

#include "base/try.h"

namespace lapidary::runtime::vulkan {

Meetings::~Meetings() {
    for (const Pair& p : pairs_)
        for (VkEvent event : {p.given, p.taken}) context_->vk().vkDestroyEvent(context_->device(), event, nullptr);
}

Result<void> Meetings::reserve(size_t count) {
    const VkEventCreateInfo info{VK_STRUCTURE_TYPE_EVENT_CREATE_INFO};
    while (pairs_.size() < count) {
        Pair& pair = pairs_.emplace_back();
        for (VkEvent* event : {&pair.given, &pair.taken}) {
            const VkResult r = context_->vk().vkCreateEvent(context_->device(), &info, nullptr, event);
            if (r == VK_SUCCESS) continue;
            context_->vk().vkDestroyEvent(context_->device(), pair.given, nullptr);
            pairs_.pop_back();
            return failure("no event", r);
        }
    }
    return {};
}

Result<void> Meetings::reset(size_t count) {
    for (size_t n = 0; n < count; ++n)
        for (VkEvent event : {pairs_[n].given, pairs_[n].taken})
            if (const VkResult r = context_->vk().vkResetEvent(context_->device(), event); r != VK_SUCCESS)
                return failure("resetting an event", r);
    return {};
}

void Meetings::record_give(VkCommandBuffer commands, size_t n) const {
    context_->vk().vkCmdSetEvent(commands, pairs_[n].given, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
}

void Meetings::record_take(VkCommandBuffer commands, size_t n) const {
    VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    barrier.srcAccessMask = VK_ACCESS_HOST_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    context_->vk().vkCmdWaitEvents(commands, 1, &pairs_[n].taken, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                   1, &barrier, 0, nullptr, 0, nullptr);
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

Result<void> Meetings::answer(size_t n) const {
    const VkResult r = context_->vk().vkSetEvent(context_->device(), pairs_[n].taken);
    return r == VK_SUCCESS ? Result<void>() : failure("answering " + context_->facts().name, r);
}

void Meetings::answer_all() const {
    for (size_t n = 0; n < pairs_.size(); ++n) (void)answer(n);  // of a device that is lost nobody waits
}

}  // namespace lapidary::runtime::vulkan
