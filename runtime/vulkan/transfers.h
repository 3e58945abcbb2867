// Bytes between the host and a device, and within it, at once and outside of steps. One caller at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/vulkan/commands.h"

namespace lapidary::runtime::vulkan {

inline constexpr uint64_t kTransferPiece = 8 << 20;

class Transfers {
  public:
    explicit Transfers(Queue& queue) : queue_(queue) {}

    // fill(to, from, count) writes bytes [from, from + count) of what is to stand at `offset` of the buffer: straight
    // into it where the host sees it, else into a staging buffer, a piece of at most `piece` bytes at a time. False stops with
    // `cancelled`.
    using Fill = std::function<bool(std::byte* to, uint64_t from, uint64_t count)>;
    Result<void> write(const VulkanBuffer& to, uint64_t offset, uint64_t bytes, uint64_t piece, const Fill& fill);

    // The bytes, where the host can read them: of the buffer itself if it can, else of a copy. Valid until forget_reads().
    Result<const std::byte*> read(const VulkanBuffer& from, uint64_t offset, uint64_t bytes);
    void forget_reads() { reads_ = 0; }

    // At most kTransferPiece bytes of staging, where the host does not see the buffer or sees it uncached.
    Result<void> download(const VulkanBuffer& from, uint64_t offset, std::span<std::byte> to);

    Result<void> copy(const VulkanBuffer& from, uint64_t from_offset, const VulkanBuffer& to, uint64_t to_offset, uint64_t bytes);
    Result<void> fill(const VulkanBuffer& buffer, uint32_t word);

  private:
    Result<void> reserve(std::shared_ptr<VulkanBuffer>& staging, uint64_t bytes, Memory kind, const char* name);

    Queue& queue_;
    std::shared_ptr<VulkanBuffer> upload_, download_;
    std::vector<std::shared_ptr<VulkanBuffer>> readback_;  // one for each copy read; the first reads_ are valid
    size_t reads_ = 0;
};

// What the device wrote and the host is about to read.
void make_visible(const Block& block);

}  // namespace lapidary::runtime::vulkan
