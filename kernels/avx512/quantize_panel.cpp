// f32 activations to the int8 image of panel_matmul, AVX-512. Same bits as ref/quantize_panel.cpp, where the rules
// for zero, infinite and NaN groups are told. Called through the table (kernels.inc).
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_units.h"

namespace lapidary::kernels::avx512 {
namespace {

// max |x| by the bits, so that NaN, which order last, win.
float largest_magnitude(const float* x) {
    const __m512i no_sign = _mm512_set1_epi32(0x7fffffff);
    __m512i largest = _mm512_setzero_si512();
    for (int64_t i = 0; i < kActivationGroup; i += 16) {
        largest = _mm512_max_epu32(largest, _mm512_and_si512(_mm512_loadu_si512(x + i), no_sign));
    }
    const unsigned bits = _mm512_reduce_max_epu32(largest);
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

// The sums of 64 K: over each 16, and -32 times those over each 8.
void add_up(const int8_t* q, int16_t* sums, int32_t* eighths) {
    const __m512i fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), _mm512_loadu_si512(q));
    const __m512i eights = _mm512_add_epi32(fours, _mm512_shuffle_epi32(fours, _MM_PERM_CDAB));
    const __m512i sixteens = _mm512_add_epi32(eights, _mm512_shuffle_epi32(eights, _MM_PERM_BADC));
    const __m512i offsets = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), eights), 5);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(eighths), _mm512_cvtepi64_epi32(offsets));
    const __m512i firsts = _mm512_maskz_compress_epi32(0x1111, sixteens);  // a lane of each 16
    _mm_storeu_si64(sums, _mm256_castsi256_si128(_mm512_cvtepi32_epi16(firsts)));
}

}  // namespace

void quantize_panel(const float* x, int64_t column, const PanelInput& out) {
    int8_t* q = out.q + column * out.q_stride;
    int16_t* sums = out.sums + column * (out.k / 16);
    int32_t* offsets = out.offsets + column * (out.k / 32);
    int32_t* eighths = out.eighths + column * (out.k / 8);
    for (int64_t group = 0; group < out.k / kActivationGroup; ++group) {
        const float* values = x + group * kActivationGroup;
        const float scale = largest_magnitude(values) / 127.0f;
        const bool usable = scale >= kSmallestPanelScale && scale < __builtin_inff();
        out.scales[column * (out.k / kActivationGroup) + group] = scale < kSmallestPanelScale ? 0.0f : scale;
        const auto mask = static_cast<__mmask16>(usable ? 0xffff : 0);
        const __m512 divisor = _mm512_set1_ps(scale);
        for (int64_t i = 0; i < kActivationGroup; i += 16) {
            const __m512i rounded = _mm512_maskz_cvtps_epi32(mask, _mm512_div_ps(_mm512_loadu_ps(values + i), divisor));
            const int64_t at = group * kActivationGroup + i;
            _mm_storeu_si128(reinterpret_cast<__m128i*>(q + at), _mm512_cvtepi32_epi8(rounded));
        }
        for (int64_t at = group * kActivationGroup; at < (group + 1) * kActivationGroup; at += 64)
            add_up(q + at, sums + at / 16, eighths + at / 8);
        for (int64_t b = group * kGroupBlocks; b < (group + 1) * kGroupBlocks; ++b)
            offsets[b] = -8 * (sums[2 * b] + sums[2 * b + 1]);
    }
}

}  // namespace lapidary::kernels::avx512
