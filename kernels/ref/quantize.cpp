// Reference: f32 activations to int8 with one scale per 32 values.
#include <cmath>

#include "kernels/declare.h"
#include "kernels/half.h"

namespace lapidary::kernels::ref {
namespace {

// max |x|, or NaN if there is one: without the sign, the bits of floats order as the values do, NaN last.
float largest_magnitude(const float* x, int64_t n) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < n; ++i) {
        const uint32_t bits = float_bits(x[i]) & 0x7fffffff;
        if (bits > largest) largest = bits;
    }
    return bits_float(largest);
}

constexpr float kSmallestScale = 1.17549435e-38f;  // FLT_MIN: below it x / s would not stay within 127

}  // namespace

// A block without usable scale keeps q = 0: with scale 0 when it is (almost) zero, and with its infinite or
// NaN scale otherwise, so that bad values stay visible as NaN in the product.
void quantize(const float* x, int64_t k, int8_t* q, float* scales) {
    for (int64_t begin = 0; begin < k; begin += kActivationBlock) {
        const float scale = largest_magnitude(x + begin, kActivationBlock) / 127.0f;
        const bool usable = scale >= kSmallestScale && scale < INFINITY;
        scales[begin / kActivationBlock] = scale < kSmallestScale ? 0.0f : scale;
        for (int64_t i = begin; i < begin + kActivationBlock; ++i) {
            q[i] = usable ? static_cast<int8_t>(std::nearbyint(x[i] / scale)) : int8_t{0};
        }
    }
}

}  // namespace lapidary::kernels::ref
