// f32 activations to the int8 image of panel_matmul, NEON; also for neon_dot and neon_i8mm. Same bits as
// ref/quantize_panel.cpp, where the rules for zero, infinite and NaN groups are told. Called through the
// table.
#include "kernels/neon/prelude.h"

namespace lapidary::kernels::neon {
namespace {

// max |x| by the bits, so that NaN, which order last, win.
float largest_magnitude(const float* x) {
    const uint32x4_t no_sign = vdupq_n_u32(0x7fffffff);
    uint32x4_t largest[4] = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};
    for (int64_t i = 0; i < kActivationGroup; i += 16) {
        LAP_UNROLL
        for (int j = 0; j < 4; ++j) {
            const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x + i + 4 * j));
            largest[j] = vmaxq_u32(largest[j], vandq_u32(bits, no_sign));
        }
    }
    const uint32x4_t both = vmaxq_u32(vmaxq_u32(largest[0], largest[1]), vmaxq_u32(largest[2], largest[3]));
    const uint32_t bits = vmaxvq_u32(both);
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

// Four quotients, rounded to nearest, ties to even; 16 bits hold them, for |x / scale| is at most 127.
LAP_INLINE int16x4_t rounded(const float* x, float32x4_t scale, int32x4_t usable) {
    return vmovn_s32(vandq_s32(usable, vcvtnq_s32_f32(vdivq_f32(vld1q_f32(x), scale))));
}

}  // namespace

void quantize_panel(const float* x, int64_t column, const PanelInput& out) {
    int8_t* q = out.q + column * out.q_stride;
    int16_t* sums = out.sums + column * (out.k / 16);
    int32_t* offsets = out.offsets + column * (out.k / 32);
    int32_t* eighths = out.eighths + column * (out.k / 8);
    for (int64_t group = 0; group < out.k / kActivationGroup; ++group) {
        const float* values = x + group * kActivationGroup;
        const float scale = largest_magnitude(values) / 127.0f;
        const bool usable = scale >= kSmallestPanelScale && scale < __builtin_inff();
        out.scales[column * (out.k / kActivationGroup) + group] = scale < kSmallestPanelScale ? 0.0f : scale;
        const float32x4_t divisor = vdupq_n_f32(scale);
        const int32x4_t mask = vdupq_n_s32(usable ? -1 : 0);
        for (int64_t i = 0; i < kActivationGroup; i += 16) {
            const int16x8_t low =
                vcombine_s16(rounded(values + i, divisor, mask), rounded(values + i + 4, divisor, mask));
            const int16x8_t high =
                vcombine_s16(rounded(values + i + 8, divisor, mask), rounded(values + i + 12, divisor, mask));
            const int64_t at = group * kActivationGroup + i;
            vst1q_s8(q + at, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
            const int16_t first = vaddvq_s16(low), second = vaddvq_s16(high);
            sums[at / 16] = static_cast<int16_t>(first + second);
            eighths[at / 8] = -32 * first;
            eighths[at / 8 + 1] = -32 * second;
        }
        for (int64_t b = group * kGroupBlocks; b < (group + 1) * kGroupBlocks; ++b)
            offsets[b] = -8 * (sums[2 * b] + sums[2 * b + 1]);
    }
}

}  // namespace lapidary::kernels::neon
