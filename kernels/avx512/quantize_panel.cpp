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

}  // namespace

void quantize_panel(const float* x, int64_t column, const PanelInput& out) {
    int8_t* q = out.q + column * out.q_stride;
    int16_t* sums = out.sums + column * (out.k / 16);
    int32_t* offsets = out.offsets + column * (out.k / 32);
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
            sums[at / 16] = static_cast<int16_t>(_mm512_reduce_add_epi32(rounded));
        }
        for (int64_t b = group * kGroupBlocks; b < (group + 1) * kGroupBlocks; ++b)
            offsets[b] = -8 * (sums[2 * b] + sums[2 * b + 1]);
    }
}

}  // namespace lapidary::kernels::avx512
