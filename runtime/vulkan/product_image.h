// Rows as products take them besides f32: their int8 image, and the powers of two that bring them into the range of f16.
#pragma once

#include <cstdint>

#include "runtime/device.h"
#include "runtime/vulkan/dispatch.h"

namespace lapidary::runtime::vulkan {

// The int8 image of a step's input, which products with quantised weights take where K is a multiple of 256: q int8 [T][K],
// then f32 scales [T][K/256] (shaders/common/quantize.glsl); behind it f32 [T], the rows' powers of two
// (shaders/row_powers.comp), which tiles of f16 take. Bytes of all that for `columns` rows of up to `widest` values.
uint64_t product_image_bytes(int64_t columns, int64_t widest);

// Writes the image of the rows of x, K a multiple of 256.
Dispatch quantize_rows(const TensorView& x, const Range& image);
// Writes the powers of the rows of x, and where they lie in the image.
Dispatch row_powers(const TensorView& x, const Range& image);
Range powers_range(const TensorView& x, const Range& image);

// Values [begin, end) of every row, f32.
Range columns_of(const TensorView& v, int64_t begin, int64_t end);

}  // namespace lapidary::runtime::vulkan
