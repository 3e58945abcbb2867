// Facts of devices by the queries of Vulkan 1.2 and the extensions that are there; see physical_device.h.
#include "runtime/vulkan/physical_device.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "base/describe.h"
#include "runtime/vulkan/matrix_extension.h"
#include "runtime/vulkan/shader_table.h"

namespace lapidary::runtime::vulkan {
namespace {

const char* type_name(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated";
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete";
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual";
        case VK_PHYSICAL_DEVICE_TYPE_CPU: return "software";
        default: return "other";
    }
}

std::string version(uint32_t v) {
    return concat(VK_API_VERSION_MAJOR(v), ".", VK_API_VERSION_MINOR(v), ".", VK_API_VERSION_PATCH(v));
}

std::set<std::string> extensions_of(VkPhysicalDevice device) {
    uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> all(count);
    vkEnumerateDeviceExtensionProperties(device, nullptr, &count, all.data());
    std::set<std::string> names;
    for (const auto& e : all) names.insert(e.extensionName);
    return names;
}

std::string hex(const uint8_t* bytes, size_t count) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (size_t i = 0; i < count; ++i) out.append({kDigits[bytes[i] >> 4], kDigits[bytes[i] & 15]});
    return out;
}

// The first family that computes, best without graphics.
bool find_queue(VkPhysicalDevice device, DeviceFacts& facts) {
    uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
    bool found = false;
    for (uint32_t i = 0; i < count; ++i) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
        const bool alone = !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT);
        if (found && !alone) continue;
        facts.queue_family = i;
        facts.timestamp_bits = families[i].timestampValidBits;
        found = true;
        if (alone) break;
    }
    return found;
}

// Those whose values shaders can name.
void find_matrices(VkPhysicalDevice device, bool int8, DeviceFacts& facts) {
    const auto query = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
        vkGetInstanceProcAddr(volkGetLoadedInstance(), "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    if (!query) return;
    uint32_t count = 0;
    query(device, &count, nullptr);
    std::vector<VkCooperativeMatrixPropertiesKHR> all(count, {VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR});
    query(device, &count, all.data());
    for (const auto& p : all) {
        if (p.scope != VK_SCOPE_SUBGROUP_KHR || p.AType != p.BType || p.CType != p.ResultType) continue;
        const MatrixShape shape{p.MSize, p.NSize, p.KSize};
        if (facts.float16 && p.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && p.CType == VK_COMPONENT_TYPE_FLOAT32_KHR)
            facts.matrix_half.push_back(shape);
        if (int8 && p.AType == VK_COMPONENT_TYPE_SINT8_KHR && p.CType == VK_COMPONENT_TYPE_SINT32_KHR && !p.saturatingAccumulation)
            facts.matrix_int8.push_back(shape);
    }
}

DeviceFacts facts_of(VkPhysicalDevice device, int index) {
    DeviceFacts facts;
    facts.handle = device;
    facts.index = index;
    VkPhysicalDeviceProperties plain;
    vkGetPhysicalDeviceProperties(device, &plain);
    facts.name = plain.deviceName;
    facts.type = type_name(plain.deviceType);
    facts.api = version(plain.apiVersion);
    facts.driver_version = plain.driverVersion;
    facts.vendor = plain.vendorID;
    facts.device = plain.deviceID;
    facts.software = plain.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    facts.limits = plain.limits;
    vkGetPhysicalDeviceMemoryProperties(device, &facts.memory);
    facts.unified = plain.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || facts.software;
    if (plain.apiVersion < VK_API_VERSION_1_2) {
        facts.reasons.push_back(concat("it speaks Vulkan ", facts.api, ", 1.2 is needed"));
        return facts;  // the queries below are of 1.2
    }
    const auto extensions = extensions_of(device);
    const auto has = [&](const char* e) { return extensions.count(e) > 0; };
    // The instance speaks 1.2: what 1.3 made part of itself is still used as an extension.
    const bool dot = has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    const bool sizes = has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    const bool matrices = has(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);

    VkPhysicalDeviceShaderIntegerDotProductProperties dots{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES};
    VkPhysicalDeviceSubgroupSizeControlProperties size_control{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceVulkan12Properties v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
    VkPhysicalDeviceVulkan11Properties v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    properties.pNext = &v11;
    v11.pNext = &v12;
    const auto chain = [](auto& head, auto& item) {
        item.pNext = head.pNext;
        head.pNext = &item;
    };
    if (dot) chain(properties, dots);
    if (sizes) chain(properties, size_control);
    vkGetPhysicalDeviceProperties2(device, &properties);
    facts.driver = concat(v12.driverName, " ", v12.driverInfo);
    facts.uuid = hex(v11.deviceUUID, VK_UUID_SIZE) + hex(v11.driverUUID, VK_UUID_SIZE);
    facts.subgroup = v11.subgroupSize;
    facts.max_allocation_bytes = v11.maxMemoryAllocationSize;
    facts.dot_accelerated = dots.integerDotProduct4x8BitPackedSignedAccelerated;

    VkPhysicalDeviceShaderIntegerDotProductFeatures dot_feature{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceSubgroupSizeControlFeatures size_feature{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix_feature{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    VkPhysicalDeviceVulkan12Features f12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    features.pNext = &f12;
    if (dot) chain(features, dot_feature);
    if (sizes) chain(features, size_feature);
    if (matrices) chain(features, matrix_feature);
    vkGetPhysicalDeviceFeatures2(device, &features);
    facts.dot = dot_feature.shaderIntegerDotProduct;
    facts.float16 = f12.shaderFloat16;
    if (size_feature.subgroupSizeControl && (size_control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT)) {
        facts.subgroup_min = size_control.minSubgroupSize;
        facts.subgroup_max = size_control.maxSubgroupSize;
    }
    facts.memory_budget = has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (matrix_feature.cooperativeMatrix && f12.vulkanMemoryModel && f12.vulkanMemoryModelDeviceScope)
        find_matrices(device, f12.shaderInt8, facts);

    if (!f12.bufferDeviceAddress) facts.reasons.push_back("it has no buffer device addresses");
    if (!f12.scalarBlockLayout) facts.reasons.push_back("it has no scalar block layout");
    if (!f12.timelineSemaphore) facts.reasons.push_back("it has no timeline semaphores");
    if (!find_queue(device, facts)) facts.reasons.push_back("it has no queue that computes");
    if (facts.limits.maxPushConstantsSize < 128)
        facts.reasons.push_back(concat("it takes ", facts.limits.maxPushConstantsSize, " bytes of push constants, 128 are needed"));
    if (facts.limits.maxComputeWorkGroupInvocations < 256)
        facts.reasons.push_back(concat("its workgroups have at most ", facts.limits.maxComputeWorkGroupInvocations, " threads, 256 are needed"));
    if (facts.limits.maxComputeSharedMemorySize < 32768)
        facts.reasons.push_back(concat("its workgroups share ", facts.limits.maxComputeSharedMemorySize, " bytes, 32768 are needed"));
    return facts;
}

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

std::string listing(const std::vector<DeviceFacts>& devices) {
    std::string out;
    for (const DeviceFacts& d : devices) {
        out += concat(out.empty() ? "" : "; ", d.index, " ", in_quotes(d.name), " (", d.type, ")");
        if (d.reasons.empty() && d.software) out += ": slower than the CPU path, used only when named";
        for (const std::string& reason : d.reasons) out += concat(&reason == d.reasons.data() ? ": " : ", ", reason);
    }
    return out.empty() ? "none" : out;
}

int rank(const DeviceFacts& d) { return d.type == "discrete" ? 0 : d.type == "integrated" ? 1 : d.software ? 3 : 2; }

}  // namespace

uint32_t DeviceFacts::needs() const {
    return (dot ? kDot : 0u) | (float16 ? kFloat16 : 0u) | (matrix_half.empty() ? 0u : kMatrixHalf) |
           (matrix_int8.empty() ? 0u : kMatrixInt8);
}

MatrixShape largest_of(const std::vector<MatrixShape>& shapes) {
    MatrixShape best;
    for (const MatrixShape& s : shapes)
        if (s.m * s.n * s.k > best.m * best.n * best.k) best = s;
    return best;
}

std::vector<DeviceFacts> list_devices(const Instance& instance) {
    std::vector<DeviceFacts> out;
    const auto handles = instance.devices();
    if (!handles) return out;
    for (VkPhysicalDevice handle : *handles) out.push_back(facts_of(handle, static_cast<int>(out.size())));
    return out;
}

Result<DeviceFacts> choose_device(const std::vector<DeviceFacts>& devices, const std::string& wanted) {
    std::vector<const DeviceFacts*> usable;
    int number = -1;
    const auto [end, ok] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
    const bool numbered = !wanted.empty() && ok == std::errc() && end == wanted.data() + wanted.size();
    for (const DeviceFacts& d : devices) {
        const bool named = numbered ? d.index == number : lower(d.name).find(lower(wanted)) != std::string::npos;
        if (d.reasons.empty() && (wanted.empty() ? !d.software : named)) usable.push_back(&d);
    }
    if (usable.empty())
        return Error{Errc::device_unavailable,
                     (wanted.empty() ? "no GPU here can be used" : concat("no usable GPU is ", in_quotes(wanted))) +
                         "; Vulkan shows: " + listing(devices),
                     "set EngineOptions::device to a number or a part of a name; `lapidary doctor` shows them all"};
    return **std::min_element(usable.begin(), usable.end(), [](const auto* a, const auto* b) { return rank(*a) < rank(*b); });
}

}  // namespace lapidary::runtime::vulkan
