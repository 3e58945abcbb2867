// How fast this level could multiply: vpdpbusd on registers, 64 multiply-adds each, in twelve chains, which is
// more than latency times throughput of any core so far.
#include <immintrin.h>

#include "kernels/declare.h"

namespace lapidary::kernels::avx512 {

int64_t peak(int64_t iterations) {
    constexpr int kChains = 12;
    const __m512i weights = _mm512_set1_epi8(7), x = _mm512_set1_epi8(-3);
    __m512i sums[kChains];
    for (__m512i& sum : sums) sum = _mm512_setzero_si512();
    for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 12
        for (int j = 0; j < kChains; ++j) sums[j] = _mm512_dpbusd_epi32(sums[j], weights, x);
    for (const __m512i& sum : sums) asm volatile("" : : "v"(sum));
    return iterations * kChains * 64;
}

}  // namespace lapidary::kernels::avx512
