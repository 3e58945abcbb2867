// What the AVX-512 panel kernels share: how panels and columns are cut into register tiles, and the groups of
// 256 K of the quantised formats. Included once by each panel_<format>.cpp, hence the unnamed namespace.
// A Kernel has kFormat, kColumns (how many at most) and multiply<kPanels, kColumns>(args, panel, column): all K
// of that register tile.
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_units.h"

#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#define LAP_NO_UNROLL _Pragma("nounroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 16")
#define LAP_NO_UNROLL _Pragma("GCC unroll 1")
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

LAP_INLINE Panels panels_at(const PanelMatmulArgs& a, Format format, int64_t panel) {
    const int64_t stride = panel_bytes(format, a.x.k);
    return {static_cast<const uint8_t*>(a.panels) + panel * stride, stride};
}

LAP_INLINE __m512i load(const uint8_t* at) { return _mm512_loadu_si512(at); }
LAP_INLINE __m512 load_half(const uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}
LAP_INLINE void prefetch(const uint8_t* at) {
    _mm_prefetch(reinterpret_cast<const char*>(at + kPrefetchBytes), _MM_HINT_T0);
}
LAP_INLINE __m512i broadcast(const void* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
}

// int8 activations at some K of a few columns.
struct Inputs {
    const int8_t* q;
    int64_t q_stride;
    const int16_t* sums;
    int64_t sums_stride;
    const int32_t* offsets;
    int64_t offsets_stride;
};

// exact[column][panel] += weights[panel] * four K.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_step(const __m512i* weights, const int8_t* q, int64_t q_stride, __m512i* exact) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m512i four = broadcast(q + c * q_stride);
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            __m512i& sum = exact[c * kPanels + p];
            sum = _mm512_dpbusd_epi32(sum, weights[p], four);
        }
        // Keeps this order: two steps of a sum in a row would wait for each other.
        __asm__ volatile("" : "+v"(exact[c * kPanels]), "+v"(exact[c * kPanels + kPanels - 1]));
    }
}

// exact += a word group of 8 K in nibbles.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_nibbles(Panels words, const int8_t* q, int64_t q_stride, __m512i* exact) {
    const __m512i low = _mm512_set1_epi8(15);
    __m512i even[kPanels], odd[kPanels];
    LAP_UNROLL
    for (int p = 0; p < kPanels; ++p) {
        const uint8_t* at = words.at + p * words.stride;
        prefetch(at);
        const __m512i bytes = load(at);
        even[p] = _mm512_and_si512(bytes, low);
        odd[p] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
    }
    multiply_step<kPanels, kColumns>(even, q, q_stride, exact);
    multiply_step<kPanels, kColumns>(odd, q + 4, q_stride, exact);
}

// sums[column][panel] of rows `panel` on and columns `column` on: those rows that exist.
template <int kPanels, int kColumns>
LAP_INLINE void store_tile(const PanelMatmulArgs& a, int64_t panel, int64_t column, const __m512* sums) {
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) {
        const int64_t first = (panel + i % kPanels) * kPanel, rows = a.rows - first;
        const auto exists = static_cast<__mmask16>(rows < kPanel ? (1u << rows) - 1 : 0xffff);
        _mm512_mask_storeu_ps(a.y + (column + i / kPanels) * a.y_stride + first, exists, sums[i]);
    }
}

// A Kernel of a quantised format. Group has kFormat, kColumns and group<kPanels, kColumns>(panels, inputs, sums): the sums
// of a group of 256 K, without the activation scales.
template <class Group>
struct Quantised {
    static constexpr Format kFormat = Group::kFormat;
    static constexpr int kColumns = Group::kColumns;

    template <int kPanels, int kWidth>
    LAP_INLINE static void multiply(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
        Panels panels = panels_at(a, kFormat, panel);
        const int64_t groups = a.x.k / kActivationGroup;
        Inputs in = {a.x.q + column * a.x.q_stride, a.x.q_stride, a.x.sums + column * (a.x.k / 16), a.x.k / 16,
                     a.x.offsets + column * (a.x.k / 32), a.x.k / 32};
        const float* scales = a.x.scales + column * groups;
        __m512 totals[kPanels * kWidth];
        LAP_UNROLL
        for (int i = 0; i < kPanels * kWidth; ++i) totals[i] = _mm512_setzero_ps();
        for (int64_t group = 0; group < groups; ++group, ++scales) {
            __m512 sums[kPanels * kWidth];
            Group::template group<kPanels, kWidth>(panels, in, sums);
            LAP_UNROLL
            for (int i = 0; i < kPanels * kWidth; ++i)
                totals[i] = _mm512_fmadd_ps(_mm512_set1_ps(scales[i / kPanels * groups]), sums[i], totals[i]);
            panels.at += panel_group_bytes(kFormat);
            in.q += kActivationGroup;
            in.sums += kActivationGroup / 16;
            in.offsets += kActivationGroup / 32;
        }
        store_tile<kPanels, kWidth>(a, panel, column, totals);
    }
};

// Two panels at a time, so that a broadcast activation serves twice.
template <class Kernel, int kColumns>
void multiply_columns(const PanelMatmulArgs& a, int64_t begin, int64_t end, int64_t column) {
    for (; begin + 2 <= end; begin += 2) Kernel::template multiply<2, kColumns>(a, begin, column);
    if (begin < end) Kernel::template multiply<1, kColumns>(a, begin, column);
}

// As many columns at a time as the kernel has registers for, the last ones in two equal parts.
template <class Kernel>
void multiply_tile(const PanelMatmulArgs& a, int64_t begin, int64_t end) {
    constexpr int64_t kMost = Kernel::kColumns;
    for (int64_t c = 0; c < a.x.columns;) {
        const int64_t left = a.x.columns - c;
        const int64_t take = left >= 2 * kMost ? kMost : left > kMost ? (left + 1) / 2 : left;
        switch (take) {
            case 1: multiply_columns<Kernel, 1>(a, begin, end, c); break;
            case 2: multiply_columns<Kernel, 2>(a, begin, end, c); break;
            case 3: multiply_columns<Kernel, 3>(a, begin, end, c); break;
            case 4: multiply_columns<Kernel, 4>(a, begin, end, c); break;
            case 5: if constexpr (kMost >= 5) multiply_columns<Kernel, 5>(a, begin, end, c); break;
            default: if constexpr (kMost >= 6) multiply_columns<Kernel, 6>(a, begin, end, c); break;
        }
        c += take;
    }
}

template <class Kernel>
void multiply_panels(const PanelMatmulArgs& a) {
    const int64_t step = panels_of_tile(Kernel::kFormat, a.x.k);
    for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += step)
        multiply_tile<Kernel>(a, begin, begin + step < a.panel_end ? begin + step : a.panel_end);
}

}  // namespace
}  // namespace lapidary::kernels::avx512
