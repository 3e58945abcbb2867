// Features that shaders may need are switched on where they are; see context.h.
#include "runtime/vulkan/context.h"

#include "runtime/vulkan/matrix_extension.h"
#include "runtime/vulkan/shader_table.h"

namespace lapidary::runtime::vulkan {

Result<std::shared_ptr<Context>> Context::create(std::shared_ptr<Instance> instance, const DeviceFacts& facts,
                                                 bool explains) {
    auto made = std::shared_ptr<Context>(new Context());
    made->instance_ = std::move(instance);
    made->facts_ = facts;
    made->explains_ = explains;

    VkPhysicalDeviceVulkan12Features f12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    f12.bufferDeviceAddress = f12.scalarBlockLayout = f12.timelineSemaphore = VK_TRUE;
    f12.shaderFloat16 = facts.float16;
    VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    features.pNext = &f12;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    std::vector<const char*> extensions;
    const auto want = [&](auto& feature, const char* extension) {
        feature.pNext = f12.pNext;
        f12.pNext = &feature;
        extensions.push_back(extension);
    };
    if (facts.dot) {
        dot.shaderIntegerDotProduct = VK_TRUE;
        want(dot, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    }
    if (facts.subgroup_max > 0) {
        sizes.subgroupSizeControl = VK_TRUE;
        want(sizes, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    }
    if (facts.needs() & (kMatrixHalf | kMatrixInt8)) {
        matrix.cooperativeMatrix = VK_TRUE;
        f12.vulkanMemoryModel = f12.vulkanMemoryModelDeviceScope = VK_TRUE;  // with the model, other shaders' atomics ask for the scope
        f12.shaderInt8 = !facts.matrix_int8.empty();
        want(matrix, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    }
    if (explains) {
        executables.pipelineExecutableInfo = VK_TRUE;
        want(executables, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    }
    if (facts.memory_budget) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);

    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = facts.queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
    info.pNext = &features;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    if (const VkResult r = vkCreateDevice(facts.handle, &info, nullptr, &made->device_); r != VK_SUCCESS)
        return failure("the GPU " + facts.name + " cannot be opened", r);
    volkLoadDeviceTable(&made->table_, made->device_);
    made->table_.vkGetDeviceQueue(made->device_, facts.queue_family, 0, &made->queue_);
    return made;
}

Context::~Context() {
    if (device_) table_.vkDestroyDevice(device_, nullptr);
}

void Context::name_object(VkObjectType type, uint64_t handle, const std::string& name) const {
    if (!instance_->has_debug_utils() || !vkSetDebugUtilsObjectNameEXT) return;
    VkDebugUtilsObjectNameInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT};
    info.objectType = type;
    info.objectHandle = handle;
    info.pObjectName = name.c_str();
    vkSetDebugUtilsObjectNameEXT(device_, &info);
}

void Context::begin_label(VkCommandBuffer commands, const std::string& name) const {
    VkDebugUtilsLabelEXT label{VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT};
    label.pLabelName = name.c_str();
    vkCmdBeginDebugUtilsLabelEXT(commands, &label);
}

uint64_t Context::free_bytes(uint32_t memory_type) const {
    const uint32_t heap = facts_.memory.memoryTypes[memory_type].heapIndex;
    const uint64_t size = facts_.memory.memoryHeaps[heap].size;
    if (!facts_.memory_budget) return size > allocated_[heap] ? size - allocated_[heap] : 0;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    memory.pNext = &budget;
    vkGetPhysicalDeviceMemoryProperties2(facts_.handle, &memory);
    return budget.heapBudget[heap] > budget.heapUsage[heap] ? budget.heapBudget[heap] - budget.heapUsage[heap] : 0;
}

void Context::count_bytes(uint32_t memory_type, int64_t bytes) {
    allocated_[facts_.memory.memoryTypes[memory_type].heapIndex] += static_cast<uint64_t>(bytes);
}

}  // namespace lapidary::runtime::vulkan
