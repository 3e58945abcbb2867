// Their dispatches; see product_image.h.
#include "runtime/vulkan/product_image.h"

#include "kernels/panels.h"

namespace lapidary::runtime::vulkan {
namespace {

using kernels::kActivationGroup;

}  // namespace

Range columns_of(const TensorView& v, int64_t begin, int64_t end) {
    Range r = range_of(*v.buffer, v.offset + static_cast<uint64_t>(4 * begin),
                       static_cast<uint64_t>((v.rows - 1) * v.row_bytes + 4 * (end - begin)));
    r.pitch = static_cast<uint64_t>(v.row_bytes);
    r.width = static_cast<uint64_t>(4 * (end - begin));
    return r;
}

uint64_t product_image_bytes(int64_t columns, int64_t widest) {
    const int64_t groups = (widest + kActivationGroup - 1) / kActivationGroup;
    return static_cast<uint64_t>(columns * (groups * (kActivationGroup + 4) + 4));
}

// Behind the int8 image of the rows.
Range powers_range(const TensorView& x, const Range& image) {
    const uint64_t bytes = static_cast<uint64_t>(x.rows) * 4, at = product_image_bytes(x.rows, x.cols) - bytes;
    return {image.owner, image.begin + at, image.begin + at + bytes, image.address + at};
}

Dispatch row_powers(const TensorView& x, const Range& image) {
    struct {
        uint32_t k, stride;
    } const scalars = {u32(x.cols), u32(x.row_bytes / 4)};
    return make_dispatch({Shader::row_powers, {256}}, {u32(x.rows), 1, 1}, {columns_of(x, 0, x.cols), powers_range(x, image)}, scalars);
}

Dispatch quantize_rows(const TensorView& x, const Range& image) {
    struct {
        uint32_t k, stride, columns;
    } const scalars = {u32(x.cols), u32(x.row_bytes / 4), u32(x.rows)};
    constexpr uint32_t kThreads = 256, kGroups = kThreads / 64;  // 64 threads a group of 256 values
    return make_dispatch({Shader::quantize, {kThreads}}, {(u32(x.cols / kActivationGroup) + kGroups - 1) / kGroups, scalars.columns, 1},
                         {columns_of(x, 0, x.cols), image}, scalars);
}

}  // namespace lapidary::runtime::vulkan
