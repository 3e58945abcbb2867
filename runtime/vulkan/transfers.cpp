// Staging where the host does not see the device's memory; see transfers.h.
#include "runtime/vulkan/transfers.h"

#include <algorithm>
#include <cstring>

#include "base/try.h"

namespace lapidary::runtime::vulkan {

void make_visible(const Block& block) {
    if (!block.mapped || block.coherent) return;
    VkMappedMemoryRange range{VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE};
    range.memory = block.memory;
    range.size = VK_WHOLE_SIZE;
    block.context->vk().vkInvalidateMappedMemoryRanges(block.context->device(), 1, &range);
}

Result<void> Transfers::reserve(std::shared_ptr<VulkanBuffer>& staging, uint64_t bytes, Memory kind, const char* name) {
    if (staging && staging->bytes >= bytes) return {};
    staging.reset();
    LAP_ASSIGN(staging, allocate_buffer(queue_.context(), bytes, kind, name));
    return {};
}

Result<void> Transfers::write(const VulkanBuffer& to, uint64_t offset, uint64_t bytes, uint64_t piece, const Fill& fill) {
    const bool direct = to.mapped() && to.block().coherent;
    if (!direct) LAP_TRY(reserve(upload_, std::min(bytes, piece), Memory::upload, "staging"));
    for (uint64_t from = 0; from < bytes; from += piece) {
        const uint64_t count = std::min(piece, bytes - from);
        if (!fill(direct ? to.mapped() + offset + from : upload_->mapped(), from, count))
            return Error{Errc::cancelled, "stopped on request"};
        if (!direct) LAP_TRY(copy(*upload_, 0, to, offset + from, count));
    }
    return {};
}

Result<const std::byte*> Transfers::read(const VulkanBuffer& from, uint64_t offset, uint64_t bytes) {
    if (from.mapped()) {
        make_visible(from.block());
        return static_cast<const std::byte*>(from.mapped() + offset);
    }
    if (reads_ == readback_.size()) readback_.emplace_back();
    std::shared_ptr<VulkanBuffer>& to = readback_[reads_];
    LAP_TRY(reserve(to, bytes, Memory::readback, "readback"));
    LAP_TRY(copy(from, offset, *to, 0, bytes));
    make_visible(to->block());
    ++reads_;
    return static_cast<const std::byte*>(to->mapped());
}

Result<void> Transfers::download(const VulkanBuffer& from, uint64_t offset, std::span<std::byte> to) {
    const bool direct = from.mapped() && from.block().cached;
    if (direct) make_visible(from.block());
    if (!direct && !to.empty()) LAP_TRY(reserve(download_, std::min<uint64_t>(to.size(), kTransferPiece), Memory::readback, "readback"));
    for (size_t at = 0; at < to.size(); at += kTransferPiece) {
        const size_t count = std::min<size_t>(to.size() - at, kTransferPiece);
        if (!direct) {
            LAP_TRY(copy(from, offset + at, *download_, 0, count));
            make_visible(download_->block());
        }
        std::memcpy(to.data() + at, direct ? from.mapped() + offset + at : download_->mapped(), count);
    }
    return {};
}

Result<void> Transfers::copy(const VulkanBuffer& from, uint64_t from_offset, const VulkanBuffer& to, uint64_t to_offset,
                             uint64_t bytes) {
    if (bytes == 0) return {};
    return queue_.run_once([&](VkCommandBuffer commands) {
        const VkBufferCopy region{from.offset() + from_offset, to.offset() + to_offset, bytes};
        queue_.context()->vk().vkCmdCopyBuffer(commands, from.block().buffer, to.block().buffer, 1, &region);
    });
}

Result<void> Transfers::fill(const VulkanBuffer& buffer, uint32_t word) {
    return queue_.run_once([&](VkCommandBuffer commands) {
        queue_.context()->vk().vkCmdFillBuffer(commands, buffer.block().buffer, buffer.offset(), buffer.bytes / 4 * 4, word);
    });
}

}  // namespace lapidary::runtime::vulkan
