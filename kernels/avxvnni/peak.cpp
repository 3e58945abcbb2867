// How fast this level could multiply: vpdpbusd on registers, 32 multiply-adds each, in twelve chains, which is
// more than latency times throughput of any core so far.
#ifndef LAP_PANEL_LEVEL
#define LAP_PANEL_LEVEL avxvnni
#endif
#include <immintrin.h>

#include "kernels/panels.h"

namespace lapidary::kernels::LAP_PANEL_LEVEL {

int64_t peak(int64_t iterations);  // as in kernels.inc; the tests' build has no row of its own

int64_t peak(int64_t iterations) {
    constexpr int kChains = 12;
    const __m256i weights = _mm256_set1_epi8(7), x = _mm256_set1_epi8(-3);
    __m256i sums[kChains];
    for (__m256i& sum : sums) sum = _mm256_setzero_si256();
    for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 12
        for (int j = 0; j < kChains; ++j) sums[j] = _mm256_dpbusd_epi32(sums[j], weights, x);
    for (const __m256i& sum : sums) asm volatile("" : : "x"(sum));
    return iterations * kChains * 32;
}

}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
