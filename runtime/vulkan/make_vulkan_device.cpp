// Instance, choice, device; see make_vulkan_device.h.
#include "runtime/vulkan/make_vulkan_device.h"

#include "base/try.h"
#include "runtime/vulkan/vulkan_device.h"

namespace lapidary::runtime {

Result<OpenedGpu> make_vulkan_device(const VulkanSettings& settings) {
    vulkan::InstanceOptions options;
    options.validation = settings.messages ? vulkan::Validation::core : vulkan::Validation::off;
    options.messages = settings.messages;
    LAP_ASSIGN(const auto instance, vulkan::Instance::create(options));
    LAP_ASSIGN(const auto facts, vulkan::choose_device(vulkan::list_devices(*instance), settings.device));
    LAP_ASSIGN(auto context, vulkan::Context::create(instance, facts));
    LAP_ASSIGN(auto device, vulkan::VulkanDevice::create(std::move(context), {.precise = settings.precise,
                                                                              .cache_folder = settings.cache_folder,
                                                                              .find_hazards = settings.find_hazards,
                                                                              .shared_weights = settings.shared_weights,
                                                                              .piece_seconds = settings.piece_seconds}));
    return OpenedGpu{facts.name, std::move(device)};
}

}  // namespace lapidary::runtime
