// A context of its own whose calls fail when a test wants it, whose shaders compute wrongly, and one that looks like a card with
// memory of its own. What fails never reaches the driver or the layers, so that these see nothing but a program that goes on
// rightly.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "tests/support/vulkan_rig.h"

namespace lapidary::test {

// A call that is counted from 1, and fails from the first to the last of those named.
struct VulkanFault {
    std::atomic<int64_t> calls = 0, first = 0, last = -1;
    std::atomic<VkResult> result = VK_ERROR_UNKNOWN;

    void between(int64_t from, int64_t to, VkResult with) {
        calls = 0;
        first = from;
        last = to;
        result = with;
    }
    void once(int64_t call, VkResult with) { between(call, call, with); }
    void from(int64_t call, VkResult with) { between(call, std::numeric_limits<int64_t>::max(), with); }
    void never() { between(0, -1, VK_SUCCESS); }
    bool fails() {
        const int64_t call = ++calls;
        return call >= first && call <= last;
    }
};

// Changes the words of a shader, and returns how many.
using ShaderChange = int (*)(std::vector<uint32_t>& words);

// Rows are rounded to int8 as if that ended at 0: the floats beside them stay right.
inline int spoil_image(std::vector<uint32_t>& words) {
    constexpr uint32_t kConstant = 0x0004002b, kMost = 0x42fe0000;  // OpConstant; 127 in f32
    int changed = 0;
    for (size_t i = 3; i < words.size(); ++i)
        if (words[i - 3] == kConstant && words[i] == kMost) words[i] = 0, ++changed;
    return changed;
}

// Unsigned values are greater that are equal, but where they are compared with a constant.
inline int spoil_order(std::vector<uint32_t>& words) {
    constexpr uint32_t kConstant = 0x0004002b, kGreater = 0x000500ac, kNotLess = 0x000500ae;
    int changed = 0;
    std::set<uint32_t> constants;
    for (size_t i = 5; i < words.size(); i += words[i] >> 16) {
        if (words[i] == kConstant) constants.insert(words[i + 2]);
        if (words[i] == kGreater && !constants.contains(words[i + 4])) words[i] = kNotLess, ++changed;
    }
    return changed;
}

// One at a time: functions of Vulkan know nothing but their arguments.
class VulkanFaults {
  public:
    enum class Memory : uint8_t {
        same,  // as the device has it
        card,  // its own, which the host does not see, and the host's, some cached and not coherent; in units of 64 KiB
    };

    using Change = std::function<void(vulkan::DeviceFacts& facts)>;  // of the device, invented
    explicit VulkanFaults(Memory kind = Memory::same, const Change& change = {}) : memory_(kind) {
        REQUIRE(active_ == nullptr);
        active_ = this;
        vulkan::DeviceFacts facts = VulkanRig::get().context->facts();
        if (kind == Memory::card) facts = make_card();
        if (change) change(facts);
        auto made = vulkan::Context::create(VulkanRig::get().instance, facts);
        REQUIRE_MESSAGE(made, made.error().message);
        context = *made;
        VolkDeviceTable& vk = context->vk_for_tests();
        real_ = vk;
        vk.vkAllocateMemory = allocate_memory;
        vk.vkFreeMemory = free_memory;
        vk.vkGetBufferMemoryRequirements = requirements;
        vk.vkQueueSubmit = queue_submit;
        vk.vkWaitSemaphores = wait_semaphores;
        vk.vkCreateShaderModule = create_module;
        vk.vkCreateComputePipelines = create_pipelines;
        vk.vkCmdDispatch = dispatch;
    }
    // Whatever was made with the context is gone by now.
    ~VulkanFaults() {
        CHECK(allocations == 0);
        CHECK(context.use_count() == 1);
        context->vk_for_tests() = real_;
        active_ = nullptr;
        context.reset();  // here the layers name what was not destroyed
        VulkanRig::get().check_messages();
    }
    VulkanFaults(const VulkanFaults&) = delete;
    VulkanFaults& operator=(const VulkanFaults&) = delete;

    std::shared_ptr<vulkan::Context> context;
    VulkanFault memory, submit, wait, pipelines;
    VulkanFault dispatches;                  // a failing one is left out: what it writes stays as it was
    std::atomic<int64_t> allocations = 0;    // standing
    // Shaders that compute wrongly, by name: their words are changed before the driver gets them. One must be.
    std::map<std::string_view, ShaderChange> shaders;

  private:
    // Of a software device: its one memory is all of these.
    static vulkan::DeviceFacts make_card() {
        const auto found = vulkan::choose_device(vulkan::list_devices(*VulkanRig::get().instance), "llvmpipe");
        REQUIRE_MESSAGE(found, found.error().message);
        vulkan::DeviceFacts facts = *found;
        facts.unified = facts.memory_budget = false;
        VkPhysicalDeviceMemoryProperties& m = facts.memory;
        m.memoryTypeCount = 3;
        m.memoryTypes[0] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
        m.memoryTypes[1] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, 1};
        m.memoryTypes[2] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1};
        m.memoryHeapCount = 2;
        m.memoryHeaps[0] = {64 << 20, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
        m.memoryHeaps[1] = {256 << 20, 0};
        return facts;
    }

    static VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info,
                                                          const VkAllocationCallbacks* how, VkDeviceMemory* out) {
        if (active_->memory.fails()) return active_->memory.result;
        VkMemoryAllocateInfo real = *info;
        if (active_->memory_ == Memory::card) real.memoryTypeIndex = 0;  // a software device has one
        const VkResult r = active_->real_.vkAllocateMemory(device, &real, how, out);
        if (r != VK_SUCCESS) return r;
        ++active_->allocations;
        // NaN, not what an earlier device left there: that may be just what a shader that does nothing should have written.
        constexpr VkMemoryPropertyFlags kSeen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
        void* bytes = nullptr;
        const auto flags = VulkanRig::get().context->facts().memory.memoryTypes[real.memoryTypeIndex].propertyFlags;
        if ((flags & kSeen) == kSeen && active_->real_.vkMapMemory(device, *out, 0, VK_WHOLE_SIZE, 0, &bytes) == VK_SUCCESS) {
            std::memset(bytes, 0xFF, real.allocationSize);
            active_->real_.vkUnmapMemory(device, *out);
        }
        return r;
    }
    static VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks* how) {
        if (memory != VK_NULL_HANDLE) --active_->allocations;
        active_->real_.vkFreeMemory(device, memory, how);
    }
    static VKAPI_ATTR void VKAPI_CALL requirements(VkDevice device, VkBuffer buffer, VkMemoryRequirements* out) {
        active_->real_.vkGetBufferMemoryRequirements(device, buffer, out);
        if (active_->memory_ != Memory::card) return;
        out->memoryTypeBits = 7;
        out->size = (out->size + 65535) / 65536 * 65536;
    }
    static VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
        if (active_->submit.fails()) return active_->submit.result;
        return active_->real_.vkQueueSubmit(queue, count, infos, fence);
    }
    // The work is done also where its end is not told: a lost device computes nothing more.
    static VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info, uint64_t timeout) {
        const VkResult r = active_->real_.vkWaitSemaphores(device, info, timeout);
        return active_->wait.fails() ? active_->wait.result.load() : r;
    }
    static VKAPI_ATTR VkResult VKAPI_CALL create_module(VkDevice device, const VkShaderModuleCreateInfo* info,
                                                        const VkAllocationCallbacks* how, VkShaderModule* out) {
        std::vector<uint32_t> words(info->pCode, info->pCode + info->codeSize / 4);
        for (const vulkan::ShaderRow& row : vulkan::shader_rows())
            if (const auto change = active_->shaders.find(row.name); row.words.data() == info->pCode && change != active_->shaders.end())
                CHECK(change->second(words) == 1);
        VkShaderModuleCreateInfo real = *info;
        real.pCode = words.data();
        return active_->real_.vkCreateShaderModule(device, &real, how, out);
    }
    static VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                                           const VkComputePipelineCreateInfo* infos,
                                                           const VkAllocationCallbacks* how, VkPipeline* out) {
        if (active_->pipelines.fails()) return active_->pipelines.result;
        return active_->real_.vkCreateComputePipelines(device, cache, count, infos, how, out);
    }
    static VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z) {
        if (!active_->dispatches.fails()) active_->real_.vkCmdDispatch(commands, x, y, z);
    }

    inline static VulkanFaults* active_ = nullptr;
    Memory memory_;
    VolkDeviceTable real_{};
};

}  // namespace lapidary::test
