// Product of q4_0 panels and int8 activations with AVX-512 VNNI: a lane owns a row, vpdpbusd sums four K.
// Nibbles stay unsigned, so every block of 32 K starts from -8 times the sum of its activations.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_units.h"

#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 16")
#endif
#define LAP_INLINE __attribute__((always_inline)) inline

namespace lapidary::kernels::avx512 {
namespace {

constexpr int64_t kPrefetchBytes = 4096;  // how far ahead of its use a panel is fetched

// Panels side by side at some K: the next begins `stride` bytes further.
struct Panels {
    const uint8_t* at;
    int64_t stride;
};

LAP_INLINE __m512i broadcast(const int8_t* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
}

// exact[column][panel] += weights[panel] * four K of x.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_step(const __m512i* weights, const int8_t* x, __m512i* exact) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m512i four = broadcast(x + c * 32);
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            __m512i& sum = exact[c * kPanels + p];
            sum = _mm512_dpbusd_epi32(sum, weights[p], four);
        }
        // Keeps this order: two steps of a sum in a row would wait for each other.
        __asm__ volatile("" : "+v"(exact[c * kPanels]), "+v"(exact[c * kPanels + kPanels - 1]));
    }
}

// The same for a block of 32 K; nibbles are unpacked in registers, eight K at a time.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_block(Panels nibbles, const int8_t* x, __m512i* exact) {
    const __m512i low = _mm512_set1_epi8(15);
    LAP_UNROLL
    for (int i = 0; i < 4; ++i) {
        __m512i even[kPanels], odd[kPanels];
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            const uint8_t* at = nibbles.at + p * nibbles.stride + i * kPanelGroupBytes;
            _mm_prefetch(reinterpret_cast<const char*>(at + kPrefetchBytes), _MM_HINT_T0);
            const __m512i bytes = _mm512_load_si512(at);
            even[p] = _mm512_and_si512(bytes, low);
            odd[p] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
        }
        multiply_step<kPanels, kColumns>(even, x + i * 8, exact);
        multiply_step<kPanels, kColumns>(odd, x + i * 8 + 4, exact);
    }
}

// totals[column][panel] += a group of 256 K; x and sums are those of the first column.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_group(Panels panels, const int8_t* x, const int32_t* sums, const float* scales,
                               int64_t columns, __m512* totals) {
    constexpr int kSums = kPanels * kColumns;
    __m512 sum[kSums];
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) sum[i] = _mm512_setzero_ps();
    for (int64_t unit = 0; unit < kGroupBlocks / 2; ++unit, panels.at += kPanelUnitBytes) {
        LAP_UNROLL
        for (int64_t b = 0; b < 2; ++b, x += columns * 32, sums += columns) {
            __m512i exact[kSums];
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i) exact[i] = _mm512_set1_epi32(-8 * sums[i / kPanels]);
            multiply_block<kPanels, kColumns>({panels.at + panel_nibbles_offset(b), panels.stride}, x, exact);
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                const uint8_t* d = panels.at + p * panels.stride + panel_scales_offset(b);
                const __m512 scale = _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(d)));
                LAP_UNROLL
                for (int i = p; i < kSums; i += kPanels) {
                    sum[i] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(exact[i]), sum[i]);
                }
            }
        }
    }
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) {
        totals[i] = _mm512_fmadd_ps(_mm512_set1_ps(scales[i / kPanels]), sum[i], totals[i]);
    }
}

// Panels from `panel` on times columns from `column` on, all K.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_panels(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
    const int64_t stride = panel_bytes(Format::q4_0, a.x.k);
    Panels panels = {static_cast<const uint8_t*>(a.panels) + panel * stride, stride};
    __m512 totals[kPanels * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) totals[i] = _mm512_setzero_ps();
    for (int64_t group = 0; group < a.x.k / kActivationGroup; ++group) {
        const int64_t block = group * kGroupBlocks * a.x.columns + column;
        multiply_group<kPanels, kColumns>(panels, a.x.q + block * 32, a.x.sums + block,
                                          a.x.scales + group * a.x.columns + column, a.x.columns, totals);
        panels.at += kGroupBlocks / 2 * kPanelUnitBytes;
    }
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) {
        const int64_t first = (panel + i % kPanels) * kPanel, rows = a.rows - first;
        const auto exists = static_cast<__mmask16>(rows < kPanel ? (1u << rows) - 1 : 0xffff);
        _mm512_mask_storeu_ps(a.y + (column + i / kPanels) * a.y_stride + first, exists, totals[i]);
    }
}

// Two panels at a time, so that a broadcast activation serves twice.
template <int kColumns>
void multiply_columns(const PanelMatmulArgs& a, int64_t begin, int64_t end, int64_t column) {
    for (; begin + 2 <= end; begin += 2) multiply_panels<2, kColumns>(a, begin, column);
    if (begin < end) multiply_panels<1, kColumns>(a, begin, column);
}

// Six columns of two panels fill the registers: 12 integer and 12 float sums. 7 and 8 are cut in half.
void multiply_tile(const PanelMatmulArgs& a, int64_t begin, int64_t end) {
    const int64_t columns = a.x.columns;
    int64_t c = 0;
    for (; columns - c > 8 || columns - c == 6; c += 6) multiply_columns<6>(a, begin, end, c);
    if (columns - c >= 7) {
        multiply_columns<4>(a, begin, end, c);
        c += 4;
    }
    switch (columns - c) {
        case 1: return multiply_columns<1>(a, begin, end, c);
        case 2: return multiply_columns<2>(a, begin, end, c);
        case 3: return multiply_columns<3>(a, begin, end, c);
        case 4: return multiply_columns<4>(a, begin, end, c);
        case 5: return multiply_columns<5>(a, begin, end, c);
        default: return;
    }
}

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) {
    const int64_t step = panels_of_tile(a.x.k);
    for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += step) {
        multiply_tile(a, begin, begin + step < a.panel_end ? begin + step : a.panel_end);
    }
}

}  // namespace lapidary::kernels::avx512
