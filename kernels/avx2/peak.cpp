// How fast this level could multiply: vpmaddubsw on registers, 32 multiply-adds each. What is counted is the form
// that unsigned nibbles allow, eight of them summed in 16 bits before one vpmaddwd widens them: 15 * 127 * 2 * 8
// fits; the plain form (one vpmaddwd each) is about half as fast.
#include <immintrin.h>

#include "kernels/declare.h"

namespace lapidary::kernels::avx2 {

int64_t peak(int64_t iterations) {
    constexpr int kChains = 4, kProducts = 8;
    const __m256i x = _mm256_set1_epi8(-3), ones = _mm256_set1_epi16(1);
    __m256i weights = _mm256_set1_epi8(7);
    __m256i sums[kChains];
    for (__m256i& sum : sums) sum = _mm256_setzero_si256();
    for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < kChains; ++j) {
            __m256i sum16 = _mm256_setzero_si256();
#pragma GCC unroll 8
            for (int k = 0; k < kProducts; ++k) {
                asm volatile("" : "+x"(weights));  // unknown to the compiler, so that every product is computed
                const __m256i product = _mm256_maddubs_epi16(weights, x);
                sum16 = k == 0 ? product : _mm256_add_epi16(sum16, product);
            }
            sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(sum16, ones));
        }
    for (const __m256i& sum : sums) asm volatile("" : : "x"(sum));
    return iterations * kChains * kProducts * 32;
}

}  // namespace lapidary::kernels::avx2
