// A software GPU whose submits and meetings with the CPU are counted, and which may be lost at any of them.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "model/session_state.h"
#include "runtime/vulkan/vulkan_device.h"

namespace lapidary::test {

// Of one device at a time: from this one on every one fails as on a lost device.
struct GpuLoss {
    int64_t submits = 0, at = 0;
    PFN_vkQueueSubmit submit = nullptr;
    PFN_vkGetEventStatus status = nullptr;
};
inline GpuLoss gpu_loss;

VKAPI_ATTR inline VkResult VKAPI_CALL submit_or_lose(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
    if (++gpu_loss.submits >= gpu_loss.at && gpu_loss.at > 0) return VK_ERROR_DEVICE_LOST;
    return gpu_loss.submit(queue, count, infos, fence);
}
VKAPI_ATTR inline VkResult VKAPI_CALL meet_or_lose(VkDevice device, VkEvent event) {
    const VkResult r = gpu_loss.status(device, event);
    return r == VK_EVENT_SET && ++gpu_loss.submits >= gpu_loss.at && gpu_loss.at > 0 ? VK_ERROR_DEVICE_LOST : r;
}

// Counted from 1 from now on; 0: never.
inline void lose_gpu_at(int64_t submit) { gpu_loss.submits = 0, gpu_loss.at = submit; }
inline void keep_gpu() { gpu_loss.at = 0; }
inline int64_t gpu_submits() { return gpu_loss.submits; }

inline const char* name_of_gpu() {
    const char* name = std::getenv("LAPIDARY_TEST_GPU");
    return name ? name : "llvmpipe";
}

inline Result<std::shared_ptr<runtime::vulkan::Context>> open_gpu(bool timestamps) {
    namespace vulkan = runtime::vulkan;
    LAP_ASSIGN(const auto instance, vulkan::Instance::create());
    LAP_ASSIGN(auto facts, vulkan::choose_device(vulkan::list_devices(*instance), name_of_gpu()));
    if (!timestamps) facts.timestamp_bits = 0;
    return vulkan::Context::create(instance, facts);
}

inline Result<std::vector<model::DevicePart>> part_on(std::shared_ptr<runtime::vulkan::Context> context, const EngineOptions& options,
                                                      const model::LoadedModel& loaded, double piece_seconds = 0.1) {
    std::vector<model::DevicePart> parts(1);
    parts[0].gpu = context->facts().name;
    parts[0].last = static_cast<int32_t>(loaded.config.layers.size());
    LAP_ASSIGN(parts[0].device,
               runtime::vulkan::VulkanDevice::create(std::move(context), {.precise = options.precise, .self_test = false, .find_hazards = true,
                                                       .shared_weights = true, .piece_seconds = piece_seconds}));
    return parts;
}

// The first `lossy` devices count their submits and may be lost.
inline model::PartsMaker gpu_that_is_lost(int lossy) {
    return [lossy, made = std::make_shared<int>(0)](const EngineOptions& options, const model::LoadedModel& loaded, model::Attempt)
               -> Result<std::vector<model::DevicePart>> {
        LAP_ASSIGN(auto context, open_gpu(true));
        if ((*made)++ < lossy) {
            gpu_loss = {0, gpu_loss.at, context->vk().vkQueueSubmit, context->vk().vkGetEventStatus};
            context->vk_for_tests().vkQueueSubmit = submit_or_lose;
            context->vk_for_tests().vkGetEventStatus = meet_or_lose;
        }
        return part_on(std::move(context), options, loaded);
    };
}

}  // namespace lapidary::test
