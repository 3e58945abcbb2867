// How fast this level could multiply: smlal and smlal2 on registers, 8 multiply-adds each. What is counted is the
// form that nibbles allow, sixteen of them summed in 16 bits before one sadalp widens them: 15 * 127 * 16 fits.
#include <arm_neon.h>

#include "kernels/declare.h"
#include "kernels/peak_sums.h"

namespace lapidary::kernels::neon {

Peak peak(int64_t iterations) {
    constexpr int kSums = 20, kPairs = 8;
    const int8x16_t x = vdupq_n_s8(-3);
    int8x16_t weights = vdupq_n_s8(7);
    int32x4_t total = vdupq_n_s32(0);
    const auto step = [&](int16x8_t& sum) {
        asm volatile("" : "+w"(weights));  // unknown to the compiler, so that every product is computed
        sum = vmlal_s8(sum, vget_low_s8(weights), vget_low_s8(x));
        sum = vmlal_high_s8(sum, weights, x);
        asm volatile("" : "+w"(sum));
    };
    const auto widen = [&](int16x8_t& sum) { total = vpadalq_s16(total, sum); };
    repeat_sums<kSums>(iterations, kPairs, vdupq_n_s16(0), step, widen);
    asm volatile("" : : "w"(total));
    return {iterations * kSums * kPairs * 16, "smlal 8h", kSums};
}

}  // namespace lapidary::kernels::neon
