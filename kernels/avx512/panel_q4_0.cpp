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

constexpr int kSteps = 8;             // of four K, in a block of 32
constexpr int64_t kColumnGroup = 6;   // two panels x 6 columns: 12 integer and 12 float accumulators
constexpr int64_t kPrefetchBytes = 4096;  // how far ahead a decoding panel is fetched

// What the kernels below need of one or two panels.
struct Work {
    const uint8_t* panel[2];
    const PanelMatmulArgs* args;
    uint8_t* bytes;    // [64 steps][panels][64]
    float* scales;     // [8 blocks][panels][16]
    int32_t* starts;   // [8 blocks][T]: -8 sums
    float* totals;     // [T][panels][16]
};

LAP_INLINE __m512i broadcast(const void* four_bytes) {
    int32_t word;
    __builtin_memcpy(&word, four_bytes, sizeof word);
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

// 256 K of the panels as bytes in the order of use, and their scales.
template <int kPanels>
LAP_INLINE void unpack(const Work& w, int64_t group) {
    const __m512i low = _mm512_set1_epi8(15);
    for (int64_t b = 0; b < kGroupBlocks; ++b) {
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            const uint8_t* nibbles = panel_nibbles(w.panel[p], group * kGroupBlocks + b);
            uint8_t* out = w.bytes + (b * kSteps * kPanels + p) * 64;
            LAP_UNROLL
            for (int i = 0; i < kSteps / 2; ++i) {
                const __m512i v = _mm512_load_si512(nibbles + i * kPanelGroupBytes);
                _mm512_store_si512(out + (2 * i) * kPanels * 64, _mm512_and_si512(v, low));
                _mm512_store_si512(out + (2 * i + 1) * kPanels * 64, _mm512_and_si512(_mm512_srli_epi16(v, 4), low));
            }
            const __m512 d = load_scales(panel_scales(w.panel[p], group * kGroupBlocks + b));
            _mm512_store_ps(w.scales + (b * kPanels + p) * 16, d);
        }
    }
}

// Where the integer sums of a group begin.
LAP_INLINE void start_sums(const Work& w, int64_t group) {
    const int64_t count = kGroupBlocks * w.args->x.columns;
    const int32_t* sums = w.args->x.sums + group * count;
    const __m512i zero = _mm512_setzero_si512();
    for (int64_t i = 0; i < count; i += 16) {  // count is a multiple of 8
        const __mmask16 mask = count - i < 16 ? 0xff : 0xffff;
        const __m512i v = _mm512_maskz_loadu_epi32(mask, sums + i);
        _mm512_mask_storeu_epi32(w.starts + i, mask, _mm512_sub_epi32(zero, _mm512_slli_epi32(v, 3)));
    }
}

// One group of 256 K for kColumns columns: everything but the totals stays in registers.
template <int kPanels, int kColumns>
LAP_INLINE void multiply(const Work& w, int64_t group, int64_t column) {
    const int64_t columns = w.args->x.columns;
    const int8_t* x = w.args->x.q + (group * kGroupBlocks * columns + column) * 32;
    const int32_t* start = w.starts + column;
    const uint8_t* bytes = w.bytes;
    const float* scales = w.scales;
    __m512 sum[kPanels * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) sum[i] = _mm512_setzero_ps();
    for (int64_t b = 0; b < kGroupBlocks; ++b) {
        __m512i exact[kPanels * kColumns];
        LAP_UNROLL
        for (int i = 0; i < kPanels * kColumns; ++i) exact[i] = _mm512_set1_epi32(start[i / kPanels]);
        LAP_UNROLL
        for (int step = 0; step < kSteps; ++step) {
            __m512i weights[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) weights[p] = _mm512_load_si512(bytes + (step * kPanels + p) * 64);
            LAP_UNROLL
            for (int c = 0; c < kColumns; ++c) {
                const __m512i v = broadcast(x + c * 32 + step * 4);
                LAP_UNROLL
                for (int p = 0; p < kPanels; ++p) {
                    exact[c * kPanels + p] = _mm512_dpbusd_epi32(exact[c * kPanels + p], weights[p], v);
                }
            }
        }
        LAP_UNROLL
        for (int i = 0; i < kPanels * kColumns; ++i) {
            const __m512 d = _mm512_load_ps(scales + i % kPanels * 16);
            sum[i] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(exact[i]), sum[i]);
        }
        x += columns * 32;
        start += columns;
        bytes += kSteps * kPanels * 64;
        scales += kPanels * 16;
    }
    const float* x_scales = w.args->x.scales + group * columns + column;
    float* totals = w.totals + column * kPanels * 16;
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) {
        const __m512 total = group == 0 ? _mm512_setzero_ps() : _mm512_load_ps(totals + i * 16);
        _mm512_store_ps(totals + i * 16, _mm512_fmadd_ps(_mm512_set1_ps(x_scales[i / kPanels]), sum[i], total));
    }
}

template <int kPanels>
void many_columns(const Work& w) {
    const int64_t columns = w.args->x.columns;
    for (int64_t group = 0; group < w.args->x.k / kActivationGroup; ++group) {
        unpack<kPanels>(w, group);
        start_sums(w, group);
        int64_t c = 0;
        for (; c + kColumnGroup <= columns; c += kColumnGroup) multiply<kPanels, kColumnGroup>(w, group, c);
        if (c + 4 <= columns) {
            multiply<kPanels, 4>(w, group, c);
            c += 4;
        }
        if (c + 2 <= columns) {
            multiply<kPanels, 2>(w, group, c);
            c += 2;
        }
        if (c < columns) multiply<kPanels, 1>(w, group, c);
    }
}

void many_columns(const PanelMatmulArgs& a) {
    const int64_t bytes = panel_bytes(Format::q4_0, a.x.k);
    Work w;
    w.args = &a;
    w.bytes = static_cast<uint8_t*>(a.scratch);
    w.scales = reinterpret_cast<float*>(w.bytes + kUnpackedBytes);
    w.totals = w.scales + kUnpackedScaleBytes / 4;
    w.starts = reinterpret_cast<int32_t*>(w.totals + a.x.columns * kPanelSumBytes / 4);
    for (int64_t panel = a.panel_begin; panel < a.panel_end;) {
        const int panels = a.panel_end - panel >= 2 ? 2 : 1;
        w.panel[0] = static_cast<const uint8_t*>(a.panels) + panel * bytes;
        w.panel[1] = w.panel[0] + bytes;
        panels == 2 ? many_columns<2>(w) : many_columns<1>(w);
        for (int64_t c = 0; c < a.x.columns; ++c) {
            for (int p = 0; p < panels; ++p) {
                store_rows(a, panel + p, c, _mm512_load_ps(w.totals + (c * panels + p) * 16));
            }
        }
        panel += panels;
    }
}

// Decoding: the weights are read once and unpacked in registers, the totals of all columns stay there too.
template <int kColumns>
LAP_INLINE void few_columns(const PanelMatmulArgs& a, const uint8_t* panel, __m512* totals) {
    const __m512i low = _mm512_set1_epi8(15);
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) totals[c] = _mm512_setzero_ps();
    const int8_t* x = a.x.q;
    const int32_t* sums = a.x.sums;
    for (int64_t group = 0; group < a.x.k / kActivationGroup; ++group) {
        __m512 sum[kColumns];
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) sum[c] = _mm512_setzero_ps();
        LAP_UNROLL
        for (int b = 0; b < kGroupBlocks; ++b) {
            const uint8_t* nibbles = panel + panel_nibbles_offset(b);
            __m512i exact[kColumns];
            LAP_UNROLL
            for (int c = 0; c < kColumns; ++c) exact[c] = _mm512_set1_epi32(-8 * sums[c]);
            LAP_UNROLL
            for (int i = 0; i < kSteps / 2; ++i) {
                const __m512i v = _mm512_load_si512(nibbles + i * kPanelGroupBytes);
                _mm_prefetch(reinterpret_cast<const char*>(nibbles + i * kPanelGroupBytes + kPrefetchBytes), _MM_HINT_T0);
                const __m512i first = _mm512_and_si512(v, low);
                const __m512i second = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
                LAP_UNROLL
                for (int c = 0; c < kColumns; ++c) {
                    exact[c] = _mm512_dpbusd_epi32(exact[c], first, broadcast(x + c * 32 + i * 8));
                    exact[c] = _mm512_dpbusd_epi32(exact[c], second, broadcast(x + c * 32 + i * 8 + 4));
                }
            }
            const __m512 d = load_scales(panel + panel_scales_offset(b));
            LAP_UNROLL
            for (int c = 0; c < kColumns; ++c) sum[c] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(exact[c]), sum[c]);
            x += kColumns * 32;
            sums += kColumns;
        }
        const float* scales = a.x.scales + group * kColumns;
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) totals[c] = _mm512_fmadd_ps(_mm512_set1_ps(scales[c]), sum[c], totals[c]);
        panel += kGroupBlocks / 2 * kPanelUnitBytes;
    }
}

template <int kColumns>
void few_columns(const PanelMatmulArgs& a) {
    for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
        __m512 totals[kColumns];
        few_columns<kColumns>(a, static_cast<const uint8_t*>(a.panels) + panel * panel_bytes(Format::q4_0, a.x.k), totals);
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) store_rows(a, panel, c, totals[c]);
    }
}

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) {
    switch (a.x.columns) {
        case 1: return few_columns<1>(a);
        case 2: return few_columns<2>(a);
        case 3: return few_columns<3>(a);
        case 4: return few_columns<4>(a);
        case 5: return few_columns<5>(a);
        case 6: return few_columns<6>(a);
        case 7: return few_columns<7>(a);
        case 8: return few_columns<8>(a);
        default: return many_columns(a);
    }
}

}  // namespace lapidary::kernels::avx512
