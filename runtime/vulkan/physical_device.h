// What a Vulkan device is and can, and which one is taken: every device that is not says all its reasons.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/vulkan/instance.h"

namespace lapidary::runtime::vulkan {

struct MatrixShape {  // of a cooperative matrix multiply-add
    uint32_t m = 0, n = 0, k = 0;
};
// The one that does most at once; none: all 0.
MatrixShape largest_of(const std::vector<MatrixShape>& shapes);

struct DeviceFacts {
    VkPhysicalDevice handle = VK_NULL_HANDLE;
    int index = 0;  // as the loader counts them
    std::string name, type, driver;  // "integrated", "discrete", "software"...; "radv Mesa 25.0.7"
    std::string api;                 // "1.3.230"
    uint32_t driver_version = 0, vendor = 0, device = 0;
    std::string uuid;                // of device and driver, as hexadecimal digits: what verdicts belong to
    bool software = false;
    bool unified = false;            // one memory for CPU and GPU

    VkPhysicalDeviceLimits limits{};
    uint64_t max_allocation_bytes = 0;
    uint32_t subgroup = 0, subgroup_min = 0, subgroup_max = 0;  // min, max: 0 where no size can be required
    bool dot = false, dot_accelerated = false, float16 = false;
    bool memory_budget = false;
    std::vector<MatrixShape> matrix_half, matrix_int8;  // f16 x f16 -> f32; s8 x s8 -> s32; of a subgroup
    uint32_t timestamp_bits = 0;
    uint32_t queue_family = 0;
    VkPhysicalDeviceMemoryProperties memory{};

    std::vector<std::string> reasons;  // why it cannot be used; empty: it can
    uint32_t needs() const;            // the Needs of shader_table.h that it meets
};

std::vector<DeviceFacts> list_devices(const Instance& instance);

// `wanted`: a number as the loader counts, a part of a name in any case, or empty: the best that is no software device,
// a discrete one first. The error lists every device with all its reasons.
Result<DeviceFacts> choose_device(const std::vector<DeviceFacts>& devices, const std::string& wanted);

}  // namespace lapidary::runtime::vulkan
