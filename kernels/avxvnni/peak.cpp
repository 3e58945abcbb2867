// How fast this level could multiply: vpdpbusd on registers, 32 multiply-adds each.
#ifndef LAP_PANEL_LEVEL
#define LAP_PANEL_LEVEL avxvnni
#endif
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/peak_sums.h"

namespace lapidary::kernels::LAP_PANEL_LEVEL {

Peak peak(int64_t iterations);  // as in kernels.inc; the tests' build has no row of its own

Peak peak(int64_t iterations) {
    constexpr int kSums = 13, kProducts = 8;  // as many as there are registers beside weights, activations and zero
    const __m256i weights = _mm256_set1_epi8(7), x = _mm256_set1_epi8(-3);
    const auto step = [&](__m256i& sum) {
        sum = _mm256_dpbusd_epi32(sum, weights, x);
        asm volatile("" : "+x"(sum));
    };
    repeat_sums<kSums>(iterations, kProducts, _mm256_setzero_si256(), step, [](__m256i&) {});
    return {iterations * kSums * kProducts * 32, "vpdpbusd ymm", kSums};
}

}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
