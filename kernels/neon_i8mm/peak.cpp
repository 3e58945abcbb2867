// How fast this level could multiply: smmla on registers, 32 multiply-adds each, in sixteen chains, which is more
// than latency times throughput of any core so far.
#include <arm_neon.h>

#include "kernels/declare.h"

namespace lapidary::kernels::neon_i8mm {

int64_t peak(int64_t iterations) {
    constexpr int kChains = 16;
    const int8x16_t weights = vdupq_n_s8(7), x = vdupq_n_s8(-3);
    int32x4_t sums[kChains];
    for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
    for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 16
        for (int j = 0; j < kChains; ++j) sums[j] = vmmlaq_s32(sums[j], weights, x);
    for (const int32x4_t& sum : sums) asm volatile("" : : "w"(sum));
    return iterations * kChains * 32;
}

}  // namespace lapidary::kernels::neon_i8mm
