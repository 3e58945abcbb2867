// f32 activations to the int8 image of panel_matmul, AVX2. Same bits as ref/quantize_panel.cpp, where the rules for
// zero, infinite and NaN groups are told. Called through the table (kernels.inc).
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_units.h"

namespace lapidary::kernels::avx2 {
namespace {

__m128i halves(__m256i v, bool high) {
    return high ? _mm256_extracti128_si256(v, 1) : _mm256_castsi256_si128(v);
}

// max |x| by the bits, so that NaN, which order last, win.
float largest_magnitude(const float* x) {
    const __m256i no_sign = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (int64_t i = 0; i < kActivationGroup; i += 8) {
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
        largest = _mm256_max_epu32(largest, _mm256_and_si256(v, no_sign));
    }
    __m128i m = _mm_max_epu32(halves(largest, false), halves(largest, true));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

__m256i quantize8(const float* x, __m256 scale, __m256i usable) {
    return _mm256_and_si256(_mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x), scale)), usable);
}

// The sums over the lanes of four vectors.
__m128i sum_each(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(halves(sums, false), halves(sums, true));
}

}  // namespace

void quantize_panel(const float* x, int64_t column, const PanelInput& out) {
    int8_t* q = out.q + column * out.q_stride;
    int16_t* sums = out.sums + column * (out.k / 16);
    int32_t* offsets = out.offsets + column * (out.k / 32);
    int32_t* eighths = out.eighths + column * (out.k / 8);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // undoes the lanes of packs
    for (int64_t group = 0; group < out.k / kActivationGroup; ++group) {
        const float* values = x + group * kActivationGroup;
        const float scale = largest_magnitude(values) / 127.0f;
        const bool usable = scale >= kSmallestPanelScale && scale < __builtin_inff();
        out.scales[column * (out.k / kActivationGroup) + group] = scale < kSmallestPanelScale ? 0.0f : scale;
        const __m256i mask = _mm256_set1_epi32(usable ? -1 : 0);
        const __m256 divisor = _mm256_set1_ps(scale);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            const int64_t at = (group * kGroupBlocks + b) * 32;
            const float* block = values + b * 32;
            const __m256i q0 = quantize8(block, divisor, mask), q1 = quantize8(block + 8, divisor, mask);
            const __m256i q2 = quantize8(block + 16, divisor, mask),
                          q3 = quantize8(block + 24, divisor, mask);
            const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q0, q1), _mm256_packs_epi32(q2, q3));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + at), _mm256_permutevar8x32_epi32(bytes, order));
            const __m128i eights = sum_each(q0, q1, q2, q3);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(eighths + at / 8),
                             _mm_sub_epi32(_mm_setzero_si128(), _mm_slli_epi32(eights, 5)));
            const __m128i sixteens = _mm_hadd_epi32(eights, eights);
            sums[at / 16] = static_cast<int16_t>(_mm_cvtsi128_si32(sixteens));
            sums[at / 16 + 1] = static_cast<int16_t>(_mm_extract_epi32(sixteens, 1));
        }
        for (int64_t b = group * kGroupBlocks; b < (group + 1) * kGroupBlocks; ++b)
            offsets[b] = -8 * (sums[2 * b] + sums[2 * b + 1]);
    }
}

}  // namespace lapidary::kernels::avx2
