// Sizes of scratch; see cpu_scratch.h.
#include "runtime/cpu/cpu_scratch.h"

#include <algorithm>

#include "base/try.h"
#include "kernels/kernels.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

// Makes room, also where none is needed: every part then has an address. What was in it may be lost.
Result<void> grow(Buffer& buffer, int64_t bytes) {
    if (buffer && buffer->bytes >= static_cast<size_t>(bytes)) return {};
    LAP_ASSIGN(buffer, allocate_host(static_cast<size_t>(std::max<int64_t>(bytes, 64))));
    return {};
}

}  // namespace

ImageBytes::ImageBytes(int64_t columns, int64_t k)
    : values(columns * kernels::panel_q_stride(k)),
      sums(columns * (k / 16) * 2),
      offsets(columns * (k / 32) * 4),
      eighths(columns * (k / 8) * 4),
      scales(columns * (k / kernels::kActivationGroup) * 4) {}

Result<void> CpuScratch::reserve(const StepShape& shape) {
    const int64_t columns = shape.columns, width = shape.widest;
    const int64_t thread = std::max(kernels::scratch_bytes(shape.head_dim, kernels::kAttentionRows),
                                    width * static_cast<int64_t>(sizeof(float)));
    for (Buffer& buffer : threads) LAP_TRY(grow(buffer, thread));
    LAP_TRY(grow(image, ImageBytes(columns, width).all()));
    LAP_TRY(grow(q8, columns * width));
    LAP_TRY(grow(q8_scales, columns * (width / kernels::kActivationBlock) * static_cast<int64_t>(sizeof(float))));
    LAP_TRY(grow(bf16, columns * (width + 32) * 2));
    if (shape.head_dim > 0 || shape.candidates > 0) LAP_TRY(grow(partials, kPartialBytes));
    return {};
}

}  // namespace lapidary::runtime
