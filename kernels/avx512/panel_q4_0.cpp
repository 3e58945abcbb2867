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

constexpr int kColumnGroup = 6;            // two panels x 6 columns: 12 integer and 12 float accumulators
constexpr int64_t kPrefetchBytes = 4096;  // how far ahead of its use a panel is fetched when decoding

// Panels side by side: panel p begins `stride` bytes after panel p - 1.
struct Panels {
    const uint8_t* first;
    int64_t stride;
};

LAP_INLINE __m512i broadcast(const int8_t* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
}
LAP_INLINE __m512 load_scales(const uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(at)));
}

// The rows of one panel and column that exist.
LAP_INLINE void store_rows(const PanelMatmulArgs& a, int64_t panel, int64_t column, __m512 totals) {
    const int64_t first = panel * kPanel, rows = a.rows - first;
    const auto mask = static_cast<__mmask16>(rows < kPanel ? (1u << rows) - 1 : 0xffff);
    _mm512_mask_storeu_ps(a.y + column * a.y_stride + first, mask, totals);
}

// exact[column][panel] += 32 K of nibbles times x: nibbles are unpacked in registers, eight K at a time.
template <int kPanels, int kColumns, bool kFetch>
LAP_INLINE void multiply_block(Panels nibbles, const int8_t* x, __m512i* exact) {
    const __m512i low = _mm512_set1_epi8(15);
    LAP_UNROLL
    for (int i = 0; i < 4; ++i) {
        __m512i even[kPanels], odd[kPanels];
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            const uint8_t* at = nibbles.first + p * nibbles.stride + i * kPanelGroupBytes;
            if (kFetch) _mm_prefetch(reinterpret_cast<const char*>(at + kPrefetchBytes), _MM_HINT_T0);
            const __m512i v = _mm512_load_si512(at);
            even[p] = _mm512_and_si512(v, low);
            odd[p] = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
        }
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const __m512i v = broadcast(x + c * 32 + i * 8), u = broadcast(x + c * 32 + i * 8 + 4);
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                __m512i& e = exact[c * kPanels + p];
                e = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(e, even[p], v), odd[p], u);
            }
        }
    }
}

// totals[column][panel] += one group of 256 K; x and sums are those of the first column.
template <int kPanels, int kColumns, bool kFetch>
LAP_INLINE void multiply_group(Panels panels, const int8_t* x, const int32_t* sums, const float* scales,
                               int64_t columns, __m512* totals) {
    __m512 sum[kPanels * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) sum[i] = _mm512_setzero_ps();
    for (int64_t b = 0; b < kGroupBlocks; ++b) {
        __m512i exact[kPanels * kColumns];
        LAP_UNROLL
        for (int i = 0; i < kPanels * kColumns; ++i) exact[i] = _mm512_set1_epi32(-8 * sums[i / kPanels]);
        if (!kFetch) {
            LAP_UNROLL
            for (int i = 0; i < (kColumns * 32 + 63) / 64; ++i) {
                _mm_prefetch(reinterpret_cast<const char*>(x + kColumns * 32 + i * 64), _MM_HINT_T0);
            }
        }
        multiply_block<kPanels, kColumns, kFetch>({panels.first + panel_nibbles_offset(b), panels.stride}, x, exact);
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            const __m512 d = load_scales(panels.first + p * panels.stride + panel_scales_offset(b));
            LAP_UNROLL
            for (int i = p; i < kPanels * kColumns; i += kPanels) {
                sum[i] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(exact[i]), sum[i]);
            }
        }
        x += columns * 32;
        sums += columns;
    }
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) {
        totals[i] = _mm512_fmadd_ps(_mm512_set1_ps(scales[i / kPanels]), sum[i], totals[i]);
    }
}

// Decoding: the weights pass by once, the totals of all columns stay in registers or on the stack.
template <int kPanels, int kColumns>
void few_columns(const PanelMatmulArgs& a, Panels panels, int64_t panel) {
    __m512 totals[kPanels * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) totals[i] = _mm512_setzero_ps();
    for (int64_t group = 0; group < a.x.k / kActivationGroup; ++group) {
        const int64_t block = group * kGroupBlocks * kColumns;
        multiply_group<kPanels, kColumns, true>({panels.first + group * kGroupBlocks / 2 * kPanelUnitBytes, panels.stride},
                                          a.x.q + block * 32, a.x.sums + block, a.x.scales + group * kColumns,
                                          kColumns, totals);
    }
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) store_rows(a, panel + i % kPanels, i / kPanels, totals[i]);
}

// Prefill: 256 K of two panels stay in the first-level cache while all columns pass by; totals wait in scratch.
template <int kPanels, int kColumns>
LAP_INLINE void some_columns(const PanelMatmulArgs& a, Panels panels, int64_t group, int64_t column) {
    auto* waiting = static_cast<float*>(a.scratch) + column * kPanels * 16;
    __m512 totals[kPanels * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) totals[i] = group == 0 ? _mm512_setzero_ps() : _mm512_load_ps(waiting + i * 16);
    const int64_t block = group * kGroupBlocks * a.x.columns + column;
    multiply_group<kPanels, kColumns, false>(panels, a.x.q + block * 32, a.x.sums + block,
                                      a.x.scales + group * a.x.columns + column, a.x.columns, totals);
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) _mm512_store_ps(waiting + i * 16, totals[i]);
}

template <int kPanels>
void many_columns(const PanelMatmulArgs& a, Panels panels, int64_t panel) {
    const int64_t columns = a.x.columns;
    for (int64_t group = 0; group < a.x.k / kActivationGroup; ++group) {
        int64_t c = 0;
        for (; c + kColumnGroup <= columns; c += kColumnGroup) some_columns<kPanels, kColumnGroup>(a, panels, group, c);
        if (c + 4 <= columns) {
            some_columns<kPanels, 4>(a, panels, group, c);
            c += 4;
        }
        if (c + 2 <= columns) {
            some_columns<kPanels, 2>(a, panels, group, c);
            c += 2;
        }
        if (c < columns) some_columns<kPanels, 1>(a, panels, group, c);
        panels.first += kGroupBlocks / 2 * kPanelUnitBytes;
    }
    const auto* totals = static_cast<const float*>(a.scratch);
    for (int64_t i = 0; i < columns * kPanels; ++i) {
        store_rows(a, panel + i % kPanels, i / kPanels, _mm512_load_ps(totals + i * 16));
    }
}

template <int kPanels>
LAP_INLINE void multiply_panels(const PanelMatmulArgs& a, int64_t panel) {
    const int64_t stride = panel_bytes(Format::q4_0, a.x.k);
    const Panels panels = {static_cast<const uint8_t*>(a.panels) + panel * stride, stride};
    switch (a.x.columns) {
        case 1: return few_columns<kPanels, 1>(a, panels, panel);
        case 2: return few_columns<kPanels, 2>(a, panels, panel);
        case 3: return few_columns<kPanels, 3>(a, panels, panel);
        case 4: return few_columns<kPanels, 4>(a, panels, panel);
        case 5: return few_columns<kPanels, 5>(a, panels, panel);
        case 6: return few_columns<kPanels, 6>(a, panels, panel);
        case 7: return few_columns<kPanels, 7>(a, panels, panel);
        case 8: return few_columns<kPanels, 8>(a, panels, panel);
        default: return many_columns<kPanels>(a, panels, panel);
    }
}

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) {
    int64_t panel = a.panel_begin;
    for (; panel + 2 <= a.panel_end; panel += 2) multiply_panels<2>(a, panel);
    if (panel < a.panel_end) multiply_panels<1>(a, panel);
}

}  // namespace lapidary::kernels::avx512
