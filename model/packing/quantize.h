// Rows of f32 to the blocks of a weight format. Plain scalar code that any thread may call on any row; used
// when a model is packed, never while it runs. q4_0 and q8_0 give the bits that llama.cpp's quantiser gives,
// so that checkpoints trained for those blocks lose nothing; q4_k and q6_k search for the least squared
// error.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/formats.h"

namespace lapidary::model {

using kernels::Format;

// format: f32, f16, bf16, q4_0, q8_0, q4_k or q6_k. count: a multiple of block_values(format). Values must be finite
// and, for all but f32 and bf16, of at most kLargestQuantised in magnitude: scales are f16.
void quantise_row(Format format, const float* x, int64_t count, std::byte* blocks);
inline constexpr float kLargestQuantised = 65504.0f;

// 1 / d, or 0 where that is no number: such values round to 0.
inline float inverse(float d) {
    const float id = d != 0 ? 1.0f / d : 0.0f;
    return std::isfinite(id) ? id : 0.0f;
}

// One block of 256 values (quantize_k.cpp).
void quantise_block_q4_k(const float* x, std::byte* block);
void quantise_block_q6_k(const float* x, std::byte* block);

}  // namespace lapidary::model
