// Products with matrices on a Vulkan device: which shader serves a weight, and the dispatches of Device::matmul and
// gated_matmul.
#pragma once

#include <cstdint>

#include "runtime/vulkan/dispatch.h"

namespace lapidary::runtime::vulkan {

// The int8 image of a step's input, which products with panels of quantised weights take: q int8 [T][K], then f32 scales
// [T][K/256] (shaders/common/quantize.glsl). Bytes for `columns` rows of up to `widest` values.
uint64_t product_image_bytes(int64_t columns, int64_t widest);

// Writes the image of the rows of x, K a multiple of 256.
Dispatch quantize_rows(const TensorView& x, const Range& image);

}  // namespace lapidary::runtime::vulkan
