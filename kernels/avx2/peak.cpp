// How fast this level could multiply: vpmaddubsw on registers, 32 multiply-adds each. What is counted is the form
// that unsigned nibbles allow, eight of them summed in 16 bits before one vpmaddwd widens them: 15 * 127 * 2 * 8
// fits; the plain form (one vpmaddwd each) is about half as fast.
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/peak_sums.h"

namespace lapidary::kernels::avx2 {

Peak peak(int64_t iterations) {
    constexpr int kSums = 8, kProducts = 8;  // a product waits for nothing, the addition takes one cycle
    const __m256i x = _mm256_set1_epi8(-3), ones = _mm256_set1_epi16(1);
    __m256i weights = _mm256_set1_epi8(7), total = _mm256_setzero_si256();
    const auto step = [&](__m256i& sum) {
        asm volatile("" : "+x"(weights));  // unknown to the compiler, so that every product is computed
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights, x));
        asm volatile("" : "+x"(sum));
    };
    const auto widen = [&](__m256i& sum) { total = _mm256_add_epi32(total, _mm256_madd_epi16(sum, ones)); };
    repeat_sums<kSums>(iterations, kProducts, _mm256_setzero_si256(), step, widen);
    asm volatile("" : : "x"(total));
    return {iterations * kSums * kProducts * 32, "vpmaddubsw ymm", kSums};
}

}  // namespace lapidary::kernels::avx2
