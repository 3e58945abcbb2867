// Dispatches of products; see products.h.
#include "runtime/vulkan/products.h"

#include "kernels/panels.h"

namespace lapidary::runtime::vulkan {

using kernels::kActivationGroup;

uint64_t product_image_bytes(int64_t columns, int64_t widest) {
    const int64_t groups = (widest + kActivationGroup - 1) / kActivationGroup;
    return static_cast<uint64_t>(columns * groups * (kActivationGroup + 4));
}

Dispatch quantize_rows(const TensorView& x, const Range& image) {
    struct {
        uint32_t k, stride, columns;
    } const scalars = {static_cast<uint32_t>(x.cols), static_cast<uint32_t>(x.row_bytes / 4), static_cast<uint32_t>(x.rows)};
    constexpr uint32_t kThreads = 256, kGroups = kThreads / 64;  // 64 threads a group of 256 values
    const auto groups = static_cast<uint32_t>(x.cols / kActivationGroup);
    return make_dispatch({Shader::quantize, {kThreads}}, {(groups + kGroups - 1) / kGroups, scalars.columns, 1},
                         {range_of(x), image}, scalars);
}

}  // namespace lapidary::runtime::vulkan
