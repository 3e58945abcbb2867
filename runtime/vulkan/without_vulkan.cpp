// A build without Vulkan; see make_vulkan_device.h.
#include "runtime/vulkan/make_vulkan_device.h"

namespace lapidary::runtime {

Result<std::unique_ptr<Device>> make_vulkan_device(const VulkanSettings&) {
    return Error{Errc::device_unavailable, "this build has no Vulkan", "configure with -DLAP_VULKAN=ON, or use --placement cpu"};
}

}  // namespace lapidary::runtime
