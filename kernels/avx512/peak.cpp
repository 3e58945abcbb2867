// How fast this level could multiply: vpdpbusd on registers, 64 multiply-adds each.
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/peak_sums.h"

namespace lapidary::kernels::avx512 {

Peak peak(int64_t iterations) {
    constexpr int kSums = 24, kProducts = 8;
    const __m512i weights = _mm512_set1_epi8(7), x = _mm512_set1_epi8(-3);
    const auto step = [&](__m512i& sum) {
        sum = _mm512_dpbusd_epi32(sum, weights, x);
        asm volatile("" : "+v"(sum));
    };
    repeat_sums<kSums>(iterations, kProducts, _mm512_setzero_si512(), step, [](__m512i&) {});
    return {iterations * kSums * kProducts * 64, "vpdpbusd zmm", kSums};
}

}  // namespace lapidary::kernels::avx512
