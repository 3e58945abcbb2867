// Reference: one row of keys or values into the cache's format.
#include <cmath>

#include "kernels/declare.h"
#include "kernels/half.h"

namespace lapidary::kernels::ref {

void store_kv_f32(const float* x, int64_t n, void* row, void*) {
    memcpy(row, x, static_cast<size_t>(n) * sizeof(float));
}

void store_kv_f16(const float* x, int64_t n, void* row, void*) {
    auto* out = static_cast<uint8_t*>(row);
    for (int64_t i = 0; i < n; ++i) {
        const uint16_t half = float_to_half(x[i]);
        memcpy(out + 2 * i, &half, sizeof half);
    }
}

// q = x / s rounded, with s the stored f16 scale: max |x| / 127 rounded to f16. The rounding of s may push
// x / s a little over 127, hence the clamp. NaN and infinity become an infinite or NaN scale with q = 0.
void store_kv_q8_0(const float* x, int64_t n, void* row, void* scales) {
    constexpr int64_t kBlock = 32;
    auto* q = static_cast<int8_t*>(row);
    for (int64_t begin = 0; begin < n; begin += kBlock) {
        uint32_t largest = 0;  // of the bits without sign, as in quantize.cpp
        for (int64_t i = begin; i < begin + kBlock; ++i) {
            const uint32_t bits = float_bits(x[i]) & 0x7fffffff;
            if (bits > largest) largest = bits;
        }
        const uint16_t half = float_to_half(bits_float(largest) / 127.0f);
        const float scale = half_to_float(half);
        memcpy(static_cast<uint8_t*>(scales) + begin / kBlock * 2, &half, sizeof half);
        const bool usable = scale > 0 && scale < INFINITY;
        for (int64_t i = begin; i < begin + kBlock; ++i) {
            const float v = usable ? std::nearbyint(x[i] / scale) : 0.0f;
            q[i] = static_cast<int8_t>(v > 127 ? 127 : v < -127 ? -127 : v);
        }
    }
}

}  // namespace lapidary::kernels::ref
