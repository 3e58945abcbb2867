// The formats whose blocks follow from their values without a search; see quantize.h.
#include "model/packing/quantize.h"

#include <cmath>
#include <cstring>

#include "kernels/blocks.h"
#include "kernels/half.h"

namespace lapidary::model {
namespace {

// To the nearest, ties to even; x is finite.
uint16_t to_bfloat(float x) {
    const uint32_t bits = kernels::float_bits(x);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void store_half(uint8_t* to, float value) {
    const uint16_t half = kernels::float_to_half(value);
    std::memcpy(to, &half, sizeof half);
}

float largest_magnitude(const float* x, int count) {
    float largest = 0;
    for (int i = 0; i < count; i++) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
    return largest;
}

// roundf without its call: halves go away from zero. |x| is small, so x - its whole part is exact.
int round_away(float x) {
    const int whole = static_cast<int>(x);
    const float rest = x - static_cast<float>(whole);
    return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

// d = max |x| / 127, q = round(x / d)
void block_q8_0(const float* x, std::byte* out) {
    kernels::BlockQ8_0 block;
    const float d = largest_magnitude(x, 32) / 127.0f;
    const float id = inverse(d);
    store_half(block.d, d);
    for (int i = 0; i < 32; i++) block.qs[i] = static_cast<int8_t>(round_away(x[i] * id));
    std::memcpy(out, &block, sizeof block);
}

// d = m / -8, m the first value of largest magnitude, so that m itself is kept; q = min(15, floor(x / d
// + 8.5))
void block_q4_0(const float* x, std::byte* out) {
    kernels::BlockQ4_0 block;
    const float largest = largest_magnitude(x, 32);
    float m = 0;
    for (int i = 31; i >= 0; i--) m = std::fabs(x[i]) == largest ? x[i] : m;
    const float d = m / -8.0f;
    const float id = inverse(d);
    store_half(block.d, d);
    uint8_t q[32];
    for (int i = 0; i < 32; i++) {
        const int value = static_cast<int>(x[i] * id + 8.5f);
        q[i] = static_cast<uint8_t>(value < 15 ? value : 15);
    }
    for (int i = 0; i < 16; i++) block.qs[i] = static_cast<uint8_t>(q[i] | q[i + 16] << 4);
    std::memcpy(out, &block, sizeof block);
}

void row_of_halves(Format format, const float* x, int64_t count, std::byte* out) {
    for (int64_t i = 0; i < count; i++) {
        const uint16_t half = format == Format::f16 ? kernels::float_to_half(x[i]) : to_bfloat(x[i]);
        std::memcpy(out + 2 * i, &half, sizeof half);
    }
}

using BlockFn = void (*)(const float* x, std::byte* block);

BlockFn block_function(Format format) {
    switch (format) {
        case Format::q4_0: return block_q4_0;
        case Format::q8_0: return block_q8_0;
        case Format::q4_k: return quantise_block_q4_k;
        case Format::q6_k: return quantise_block_q6_k;
        default: return nullptr;
    }
}

}  // namespace

void quantise_row(Format format, const float* x, int64_t count, std::byte* blocks) {
    if (format == Format::f32) {
        std::memcpy(blocks, x, static_cast<size_t>(count) * sizeof(float));
        return;
    }
    const BlockFn block = block_function(format);
    if (!block) return row_of_halves(format, x, count, blocks);
    const int64_t values = kernels::block_values(format), bytes = kernels::block_bytes(format);
    for (int64_t b = 0; b < count / values; b++) block(x + b * values, blocks + b * bytes);
}

}  // namespace lapidary::model
