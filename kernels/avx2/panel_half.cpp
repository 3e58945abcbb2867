// Product of bf16 and f16 panels and f32 activations with AVX2: a lane owns a row, one fused multiply-add per
// value, K ascending. Called through the table (kernels.inc).
#define LAP_PANEL_LEVEL avx2
#include "kernels/avx2/panel_tile.inl"

namespace lapidary::kernels::avx2 {
namespace {

struct Bf16 {
    static constexpr Format kFormat = Format::bf16;
    static constexpr TileShape kTile = kTile_panel_matmul_bf16;
    // The even K is the low half of each lane.
    LAP_INLINE static __m256 value(const uint8_t* pair, int strip, int odd) {
        const __m256i both = load(pair + strip * 32);
        const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000));
        return _mm256_castsi256_ps(odd ? _mm256_and_si256(both, high) : _mm256_slli_epi32(both, 16));
    }
};

struct F16 {
    static constexpr Format kFormat = Format::f16;
    static constexpr TileShape kTile = kTile_panel_matmul_f16;
    LAP_INLINE static __m256 value(const uint8_t* pair, int strip, int odd) {
        return load_half(pair + odd * 32 + strip * 16);
    }
};

// totals[column][strip] += weights[strip] * one K.
template <int kStrips, int kColumns>
LAP_INLINE void multiply_value(const __m256* weights, const float* x, int64_t stride, __m256* totals) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m256 value = _mm256_set1_ps(x[c * stride]);
        LAP_UNROLL
        for (int s = 0; s < kStrips; ++s) {
            __m256& total = totals[c * kStrips + s];
            total = _mm256_fmadd_ps(weights[s], value, total);
            __asm__("" : "+x"(total));  // keeps this order: GCC would broadcast ahead, and spill
        }
    }
}

// A function of its own, so that each width has all registers.
template <class Values, int kPanels, int kColumns>
__attribute__((noinline)) void multiply(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
    constexpr int kStrips = kPanels * kStripsOfPanel;
    const int64_t stride = panel_bytes(Values::kFormat, a.x.k);
    const uint8_t* at = static_cast<const uint8_t*>(a.panels) + panel * stride;
    const float* x = a.x.x + column * a.x.x_stride;
    __m256 totals[kStrips * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kStrips * kColumns; ++i) totals[i] = _mm256_setzero_ps();
    for (int64_t k = 0; k < a.x.k; k += 2, x += 2, at += kPanelWordBytes) {
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) prefetch(at + p * stride + kPrefetchBytes);
        LAP_UNROLL
        for (int odd = 0; odd < 2; ++odd) {  // one after the other: weights of both would not fit the registers
            __m256 weights[kStrips];
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s)
                weights[s] = Values::value(at + s / kStripsOfPanel * stride, s % kStripsOfPanel, odd);
            multiply_value<kStrips, kColumns>(weights, x + odd, a.x.x_stride, totals);
        }
    }
    store_tile<kPanels, kColumns>(a, panel, column, totals);
}

template <class Values>
void multiply_halves(const PanelMatmulArgs& a) {
    for_panels(a, panels_of_tile(Values::kFormat, a.x.k), [&](int64_t begin, int64_t end) {
        for_tiles<Values::kTile>(a, begin, end, [&](auto panels, auto columns, int64_t panel, int64_t column) {
            multiply<Values, panels.value, columns.value>(a, panel, column);
        });
    });
}

}  // namespace

void panel_matmul_bf16(const PanelMatmulArgs& a) { multiply_halves<Bf16>(a); }
void panel_matmul_f16(const PanelMatmulArgs& a) { multiply_halves<F16>(a); }

}  // namespace lapidary::kernels::avx2
