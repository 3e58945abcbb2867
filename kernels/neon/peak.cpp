// How fast this level could multiply: smlal and smlal2 on registers, 8 multiply-adds each. What is counted is the
// form that nibbles allow, sixteen of them summed in 16 bits before one sadalp widens them: 15 * 127 * 16 fits.
#include <arm_neon.h>

#include "kernels/declare.h"

namespace lapidary::kernels::neon {

int64_t peak(int64_t iterations) {
    constexpr int kChains = 8, kProducts = 16;
    const int8x16_t x = vdupq_n_s8(-3);
    int8x16_t weights = vdupq_n_s8(7);
    int32x4_t sums[kChains];
    for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
    for (int64_t i = 0; i < iterations; ++i) {
        int16x8_t sums16[kChains];
        for (int16x8_t& sum : sums16) sum = vdupq_n_s16(0);
        for (int k = 0; k < kProducts; k += 2)
#pragma GCC unroll 8
            for (int j = 0; j < kChains; ++j) {
                asm volatile("" : "+w"(weights));  // unknown to the compiler, so that every product is computed
                sums16[j] = vmlal_s8(sums16[j], vget_low_s8(weights), vget_low_s8(x));
                sums16[j] = vmlal_high_s8(sums16[j], weights, x);
            }
#pragma GCC unroll 8
        for (int j = 0; j < kChains; ++j) sums[j] = vpadalq_s16(sums[j], sums16[j]);
    }
    for (const int32x4_t& sum : sums) asm volatile("" : : "w"(sum));
    return iterations * kChains * kProducts * 8;
}

}  // namespace lapidary::kernels::neon
