// Vulkan without a link to it: volk opens the loader when the first instance is made. Everything in this folder calls
// through a VolkDeviceTable, which is also where tests put failures.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <volk.h>

#include <string>

#include "lapidary/result.h"

namespace lapidary::runtime::vulkan {

// "VK_ERROR_DEVICE_LOST"
const char* name(VkResult result);

// The error of a call that failed: device_lost and out_of_memory are told apart from the rest.
Error failure(const std::string& what, VkResult result);

}  // namespace lapidary::runtime::vulkan
