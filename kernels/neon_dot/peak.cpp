// How fast this level could multiply: sdot on registers, 16 multiply-adds each.
#include <arm_neon.h>

#include "kernels/declare.h"
#include "kernels/peak_sums.h"

namespace lapidary::kernels::neon_dot {

Peak peak(int64_t iterations) {
    constexpr int kSums = 24, kProducts = 64;  // new sums may cost a move each
    const int8x16_t weights = vdupq_n_s8(7), x = vdupq_n_s8(-3);
    const auto step = [&](int32x4_t& sum) {
        sum = vdotq_s32(sum, weights, x);
        asm volatile("" : "+w"(sum));
    };
    repeat_sums<kSums>(iterations, kProducts, vdupq_n_s32(0), step, [](int32x4_t&) {});
    return {iterations * kSums * kProducts * 16, "sdot 4s", kSums};
}

}  // namespace lapidary::kernels::neon_dot
