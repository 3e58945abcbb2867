// GPUs as devices: which there are, and one of them opened. Includes nothing of Vulkan, and is there in builds without it.
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace lapidary::runtime {

struct VulkanSettings {
    std::string device;    // a number as `doctor` counts, or a part of a name; empty: the best that is no software device
    bool precise = false;  // products take f32
};

// device_unavailable says why none can be used, with every device's reasons.
Result<std::unique_ptr<Device>> make_vulkan_device(const VulkanSettings& settings);

}  // namespace lapidary::runtime
