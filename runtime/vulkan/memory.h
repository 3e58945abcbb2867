// Memory of a Vulkan device: which kind lies where, and buffers with their addresses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/tensor.h"
#include "runtime/vulkan/context.h"

namespace lapidary::runtime::vulkan {

// device: the GPU's own, visible to the host where memory is one; upload: the host writes; readback: the host reads, so
// it is cached: reading any other costs a hundredfold; shared: both compute with it.
enum class Memory : uint8_t { device, upload, readback, shared };

// The types of memory among those allowed, a bit each, that serve; the best first.
std::vector<uint32_t> types_for(const DeviceFacts& facts, uint32_t allowed, Memory kind);

// One allocation. Several buffers may share it.
struct Block {
    std::shared_ptr<Context> context;
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    uint32_t type = 0;              // of memory
    uint64_t bytes = 0;             // of the buffer
    uint64_t memory_bytes = 0;      // behind it: drivers round up
    std::byte* mapped = nullptr;    // null where the host cannot see it
    bool cached = false, coherent = true;  // of the mapping
    VkDeviceAddress address = 0;

    Block() = default;
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block();
};

// Tries the memory types from the best on until one has room. out_of_memory names `name`, its size and what is free;
// device_unavailable: no type serves.
Result<std::shared_ptr<Block>> allocate_block(const std::shared_ptr<Context>& context, uint64_t bytes, Memory kind,
                                              const std::string& name);

class VulkanBuffer final : public BufferData {
  public:
    // `shared`: the CPU device gets at its bytes like at those of its own buffers.
    VulkanBuffer(std::shared_ptr<Block> block, uint64_t offset, size_t size, bool shared = false)
        : block_(std::move(block)), offset_(offset) {
        bytes = size;
        if (shared) host_ = mapped();
    }
    const Block& block() const { return *block_; }
    uint64_t offset() const { return offset_; }
    VkDeviceAddress address() const { return block_->address + offset_; }
    std::byte* mapped() const { return block_->mapped ? block_->mapped + offset_ : nullptr; }

  private:
    std::shared_ptr<Block> block_;
    uint64_t offset_;
};

// A buffer with an allocation of its own; not zeroed.
Result<std::shared_ptr<VulkanBuffer>> allocate_buffer(const std::shared_ptr<Context>& context, uint64_t bytes, Memory kind,
                                                      const std::string& name);

inline const VulkanBuffer& vulkan_buffer(const BufferData& b) { return static_cast<const VulkanBuffer&>(b); }

}  // namespace lapidary::runtime::vulkan
