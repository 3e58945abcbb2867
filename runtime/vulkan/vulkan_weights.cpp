// Blocks of memory, packing by the host's threads; see vulkan_weights.h.
#include "runtime/vulkan/vulkan_weights.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/try.h"
#include "kernels/select.h"
#include "runtime/memory/host_access.h"

namespace lapidary::runtime::vulkan {
namespace {

// A matrix moves in slices of this size: some milliseconds, after which a user may stop it.
constexpr uint64_t kSlice = 8 << 20;
// Large matrices have blocks of their own, which waste nothing. Those that others share grow with what was taken, so that a
// small model takes little and a large one few: a driver looks at every block with every submit.
constexpr uint64_t kOwnBlock = 16 << 20, kSmallestBlock = 1 << 20, kLargestBlock = 64 << 20;
constexpr uint64_t kAlignment = 256;

int64_t panels_of(const TensorView& m) { return (m.rows + kernels::kPanel - 1) / kernels::kPanel; }

}  // namespace

void VulkanWeights::rest() { packers_.reset(); }

Layout VulkanWeights::layout_of(const TensorView& m, Use use) const {
    if (use != Use::matrix && use != Use::embedding && use != Use::table) return Layout::rows;
    return products_.layout_of(m.format, m.cols);
}

KernelChoice VulkanWeights::kernels_of(const TensorView& m, Use use) const {
    const Layout layout = layout_of(m, use);
    const std::string few = products_.name_of(m.format, layout, m.cols, 1), many = products_.name_of(m.format, layout, m.cols, 512);
    return {layout, few, few, many};
}

Result<std::shared_ptr<VulkanBuffer>> VulkanWeights::take(uint64_t bytes) {
    for (Open& open : open_) {
        const uint64_t at = (open.used + kAlignment - 1) / kAlignment * kAlignment;
        if (at + bytes > open.block->bytes) continue;
        open.used = at + bytes;
        return std::make_shared<VulkanBuffer>(open.block, at, bytes, shared_);
    }
    const bool own = bytes >= kOwnBlock;
    const uint64_t wanted = own ? bytes : std::max(bytes, std::clamp(taken_ / 8, kSmallestBlock, kLargestBlock));
    LAP_ASSIGN(auto block, allocate_block(context_, wanted, shared_ ? Memory::shared : Memory::device, "weights"));
    taken_ += block->bytes;
    if (!own) open_.push_back({block, bytes});
    return std::make_shared<VulkanBuffer>(std::move(block), 0, bytes, shared_);
}

Result<Placed> VulkanWeights::place(const TensorView& host, Use use, const ByteSink& progress) {
    const auto* table = kernels::select("ref", nullptr);
    const Layout layout = layout_of(host, use);
    const bool panels = layout == Layout::panels;
    const int64_t unit_bytes = panels ? kernels::panel_bytes(host.format, host.cols) : kernels::row_bytes(host.format, host.cols);
    const int64_t units = panels ? panels_of(host) : host.rows;
    // Rows that were packed for another machine's panels are unpacked where this one wants rows.
    const bool packs = panels && host.layout == Layout::rows, unpacks = !panels && host.layout == Layout::panels;
    LAP_ASSIGN(auto buffer, take(static_cast<uint64_t>(units * unit_bytes)));
    if (!packers_) packers_ = std::make_unique<ThreadPool>(std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 16));
    const auto move = [&](std::byte* to, int64_t unit) {
        if (packs) {
            const int64_t row = unit * kernels::kPanel;
            table->pack_panel[static_cast<size_t>(host.format)](host_bytes(host) + row * host.row_bytes, host.row_bytes, host.cols,
                                                  std::min(kernels::kPanel, host.rows - row), to);
        } else if (unpacks) {
            const int64_t panel = unit / kernels::kPanel;
            table->unpack_panel_row[static_cast<size_t>(host.format)](
                host_bytes(host) + panel * kernels::panel_bytes(host.format, host.cols), host.cols, unit % kernels::kPanel, to);
        } else {
            std::memcpy(to, host_bytes(host) + (panels ? unit * unit_bytes : unit * host.row_bytes),
                        static_cast<size_t>(unit_bytes));
        }
    };
    const auto slice = static_cast<uint64_t>(std::max<int64_t>(1, static_cast<int64_t>(kSlice) / unit_bytes) * unit_bytes);
    LAP_TRY(transfers_.write(*buffer, 0, buffer->bytes, slice, [&](std::byte* to, uint64_t from, uint64_t count) {
        const int64_t first = static_cast<int64_t>(from) / unit_bytes;
        packers_->run(static_cast<int64_t>(count) / unit_bytes, [&](int64_t i, int) { move(to + i * unit_bytes, first + i); });
        const auto done = static_cast<uint64_t>(host.bytes()) * (from + count) / buffer->bytes;
        return !progress || progress(static_cast<int64_t>(done));
    }));
    TensorView view = host;
    view.buffer = buffer.get();
    view.offset = 0;
    view.layout = layout;
    view.row_bytes = panels ? unit_bytes / kernels::kPanel : unit_bytes;
    return Placed{std::move(buffer), view};
}

}  // namespace lapidary::runtime::vulkan
