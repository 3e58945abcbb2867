// Choice of memory types, allocation, mapping; see memory.h.
#include "runtime/vulkan/memory.h"

#include <algorithm>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::runtime::vulkan {
namespace {

// How well a type serves; negative: not at all.
int score(const DeviceFacts& facts, VkMemoryPropertyFlags flags, Memory kind) {
    const bool local = flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, visible = flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    const bool cached = flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT, coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (flags & (VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT)) return -1;
    switch (kind) {
        case Memory::device:
            if (facts.unified) return (local ? 4 : 0) + (visible ? 2 : 0) + (cached ? 1 : 0);
            // A card's weights in the host's memory would be read over its bus; the window into its own is for those who need it.
            return local ? (visible ? 0 : 1) : -1;
        case Memory::upload:
            if (!visible || !coherent) return -1;
            return (local == facts.unified ? 2 : 0) + (cached ? 0 : 1);
        case Memory::readback:
            if (!visible) return -1;
            return (cached ? 4 : 0) + (coherent ? 2 : 0) + (local == facts.unified ? 1 : 0);
        case Memory::shared:
            if (!visible || !coherent) return -1;
            // A card reads the host's memory over its bus; its window is small, and slow for the CPU to read.
            return facts.unified ? (cached ? 2 : 0) + (local ? 1 : 0) : local ? 0 : cached ? 2 : 1;
    }
    return -1;
}

std::string mebibytes(uint64_t bytes) { return concat((bytes + (1 << 20) - 1) >> 20, " MiB"); }

VkResult allocate_memory(const Context& c, uint32_t type, uint64_t bytes, VkDeviceMemory* out) {
    VkMemoryAllocateFlagsInfo flags{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO};
    flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
    VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    info.pNext = &flags;
    info.allocationSize = bytes;
    info.memoryTypeIndex = type;
    return c.vk().vkAllocateMemory(c.device(), &info, nullptr, out);
}

}  // namespace

std::vector<uint32_t> types_for(const DeviceFacts& facts, uint32_t allowed, Memory kind) {
    std::vector<std::pair<int, uint32_t>> found;
    for (uint32_t i = 0; i < facts.memory.memoryTypeCount; ++i)
        if (allowed >> i & 1)
            if (const int s = score(facts, facts.memory.memoryTypes[i].propertyFlags, kind); s >= 0) found.push_back({-s, i});
    std::sort(found.begin(), found.end());
    std::vector<uint32_t> types;
    for (const auto& f : found) types.push_back(f.second);
    return types;
}

Block::~Block() {
    if (!context) return;
    if (memory) context->count_bytes(type, -static_cast<int64_t>(memory_bytes));
    context->vk().vkDestroyBuffer(context->device(), buffer, nullptr);
    context->vk().vkFreeMemory(context->device(), memory, nullptr);
}

Result<std::shared_ptr<Block>> allocate_block(const std::shared_ptr<Context>& context, uint64_t bytes, Memory kind,
                                              const std::string& name) {
    const Context& c = *context;
    if (bytes > c.facts().max_allocation_bytes)
        return Error{Errc::out_of_memory, concat(name, " takes ", mebibytes(bytes), ", ", c.facts().name,
                                                 " allocates at most ", mebibytes(c.facts().max_allocation_bytes), " at once"),
                     "use a smaller model or a shorter context, or --placement cpu"};
    auto block = std::make_shared<Block>();
    block->context = context;
    VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.size = bytes;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    if (const VkResult r = c.vk().vkCreateBuffer(c.device(), &info, nullptr, &block->buffer); r != VK_SUCCESS)
        return failure("no buffer for " + name, r);
    c.name_object(VK_OBJECT_TYPE_BUFFER, reinterpret_cast<uint64_t>(block->buffer), name);
    VkMemoryRequirements needed;
    c.vk().vkGetBufferMemoryRequirements(c.device(), block->buffer, &needed);
    const std::vector<uint32_t> types = types_for(c.facts(), needed.memoryTypeBits, kind);
    if (types.empty())
        return Error{Errc::device_unavailable,
                     concat(c.facts().name, " has no memory", kind == Memory::device ? "" : " that the host sees too", " for ", name),
                     "set EngineOptions::placement to cpu"};
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    uint64_t most_free = 0;
    for (const uint32_t type : types) {
        const uint64_t free = c.free_bytes(type);
        most_free = std::max(most_free, free);
        if (free < needed.size) continue;
        result = allocate_memory(c, type, needed.size, &block->memory);
        if (result == VK_ERROR_DEVICE_LOST) return failure("allocating " + name, result);
        if (result != VK_SUCCESS) continue;
        block->type = type;
        break;
    }
    if (!block->memory)
        return Error{Errc::out_of_memory,
                     concat(c.facts().name, " has no room for ", name, ": it takes ", mebibytes(needed.size), ", at most ",
                            mebibytes(most_free), " are free in one of its memories (", vulkan::name(result), ")"),
                     "close other programs, use a shorter context, or --placement cpu"};
    block->bytes = bytes;
    block->memory_bytes = needed.size;
    context->count_bytes(block->type, static_cast<int64_t>(block->memory_bytes));
    if (const VkResult r = c.vk().vkBindBufferMemory(c.device(), block->buffer, block->memory, 0); r != VK_SUCCESS)
        return failure("binding memory to " + name, r);
    const VkMemoryPropertyFlags flags = c.facts().memory.memoryTypes[block->type].propertyFlags;
    block->cached = flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    block->coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) {
        void* mapped = nullptr;
        if (const VkResult r = c.vk().vkMapMemory(c.device(), block->memory, 0, VK_WHOLE_SIZE, 0, &mapped); r != VK_SUCCESS)
            return failure("mapping " + name, r);
        block->mapped = static_cast<std::byte*>(mapped);
    }
    VkBufferDeviceAddressInfo address{VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO};
    address.buffer = block->buffer;
    block->address = c.vk().vkGetBufferDeviceAddress(c.device(), &address);
    return block;
}

Result<std::shared_ptr<VulkanBuffer>> allocate_buffer(const std::shared_ptr<Context>& context, uint64_t bytes, Memory kind,
                                                      const std::string& name) {
    LAP_ASSIGN(auto block, allocate_block(context, std::max<uint64_t>(bytes, 64), kind, name));
    return std::make_shared<VulkanBuffer>(std::move(block), 0, bytes, kind == Memory::shared);
}

}  // namespace lapidary::runtime::vulkan
