// Reference: activations to the int8 image that panels multiply. Formula in kernels/panels.h.
#include <cmath>

#include "kernels/declare.h"
#include "kernels/half.h"
#include "kernels/panel_units.h"

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

}  // namespace

// A group without usable scale keeps q = 0, as in quantize: scale 0 when it is (almost) zero, and its
// infinite or NaN scale otherwise, so that bad values stay visible as NaN in the product.
void quantize_panel(const float* x, int64_t column, const PanelInput& out) {
    int8_t* q = out.q + column * out.q_stride;
    int16_t* sums = out.sums + column * (out.k / 16);
    int32_t* offsets = out.offsets + column * (out.k / 32);
    int32_t* eighths = out.eighths + column * (out.k / 8);
    for (int64_t group = 0; group < out.k / kActivationGroup; ++group) {
        const float* values = x + group * kActivationGroup;
        const float scale = largest_magnitude(values, kActivationGroup) / 127.0f;
        const bool usable = scale >= kSmallestPanelScale && scale < INFINITY;
        out.scales[column * (out.k / kActivationGroup) + group] = scale < kSmallestPanelScale ? 0.0f : scale;
        for (int64_t i = 0; i < kActivationGroup; i += 16) {
            int halves[2] = {};
            for (int64_t j = 0; j < 16; ++j) {
                const auto rounded = usable ? static_cast<int8_t>(std::nearbyint(values[i + j] / scale)) : int8_t{0};
                q[group * kActivationGroup + i + j] = rounded;
                halves[j / 8] += rounded;
            }
            const int64_t at = group * kActivationGroup + i;
            sums[at / 16] = static_cast<int16_t>(halves[0] + halves[1]);
            eighths[at / 8] = -32 * halves[0];
            eighths[at / 8 + 1] = -32 * halves[1];
        }
        for (int64_t b = group * kGroupBlocks; b < (group + 1) * kGroupBlocks; ++b)
            offsets[b] = -8 * (sums[2 * b] + sums[2 * b + 1]);
    }
}

}  // namespace lapidary::kernels::ref
