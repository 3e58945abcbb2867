// The one place where volk's functions live, and the words for Vulkan's results.
#define VOLK_IMPLEMENTATION
#include "runtime/vulkan/api.h"

namespace lapidary::runtime::vulkan {

const char* name(VkResult result) {
    switch (result) {
#define LAP_NAME(value) \
    case value: return #value;
        LAP_NAME(VK_SUCCESS)
        LAP_NAME(VK_NOT_READY)
        LAP_NAME(VK_TIMEOUT)
        LAP_NAME(VK_INCOMPLETE)
        LAP_NAME(VK_ERROR_OUT_OF_HOST_MEMORY)
        LAP_NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY)
        LAP_NAME(VK_ERROR_INITIALIZATION_FAILED)
        LAP_NAME(VK_ERROR_DEVICE_LOST)
        LAP_NAME(VK_ERROR_MEMORY_MAP_FAILED)
        LAP_NAME(VK_ERROR_LAYER_NOT_PRESENT)
        LAP_NAME(VK_ERROR_EXTENSION_NOT_PRESENT)
        LAP_NAME(VK_ERROR_FEATURE_NOT_PRESENT)
        LAP_NAME(VK_ERROR_INCOMPATIBLE_DRIVER)
        LAP_NAME(VK_ERROR_TOO_MANY_OBJECTS)
        LAP_NAME(VK_ERROR_OUT_OF_POOL_MEMORY)
        LAP_NAME(VK_ERROR_FRAGMENTATION)
        LAP_NAME(VK_ERROR_INVALID_EXTERNAL_HANDLE)
        LAP_NAME(VK_ERROR_UNKNOWN)
#undef LAP_NAME
        default: return "an unknown VkResult";
    }
}

Error failure(const std::string& what, VkResult result) {
    const std::string message = what + ": " + name(result) + " (" + std::to_string(static_cast<int>(result)) + ")";
    switch (result) {
        case VK_ERROR_DEVICE_LOST:
            return {Errc::device_lost, message, "the driver gave the GPU up: `dmesg` may say why; --placement cpu works"};
        case VK_ERROR_OUT_OF_HOST_MEMORY:
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        case VK_ERROR_OUT_OF_POOL_MEMORY:
        case VK_ERROR_FRAGMENTATION:
            return {Errc::out_of_memory, message, "close other programs, or use a shorter context or --placement cpu"};
        default: return {Errc::device_unavailable, message, "`lapidary doctor` shows the devices; --placement cpu works"};
    }
}

}  // namespace lapidary::runtime::vulkan
