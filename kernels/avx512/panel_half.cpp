// Product of bf16 and f16 panels and f32 activations with AVX-512: a lane owns a row, one fused multiply-add
// per value, K ascending. Called through the table (kernels.inc).
#include "kernels/avx512/panel_pairs.inl"

namespace lapidary::kernels::avx512 {
namespace {

// totals[column][panel] += weights[panel] * one K.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_value(const __m512* weights, const float* x, int64_t stride, __m512* totals) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m512 value = _mm512_set1_ps(x[c * stride]);
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p)
            totals[c * kPanels + p] = _mm512_fmadd_ps(weights[p], value, totals[c * kPanels + p]);
    }
}

// A panel at two K: of bf16 the even one is the low half of each lane.
struct Bf16 {
    static constexpr Format kFormat = Format::bf16;
    static constexpr TileShape kTile = kTile_panel_matmul_bf16;
    LAP_INLINE static void pair(const uint8_t* at, __m512& even, __m512& odd) {
        const __m512i both = load(at);
        even = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
        odd = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
    }
};
struct F16 {
    static constexpr Format kFormat = Format::f16;
    static constexpr TileShape kTile = kTile_panel_matmul_f16;
    LAP_INLINE static void pair(const uint8_t* at, __m512& even, __m512& odd) {
        even = load_half(at);
        odd = load_half(at + 32);
    }
};

template <class Pairs>
struct Half : Pairs {
    static constexpr int64_t kSteps = kHalfSteps, kKeepFrom = kNeverKept;

    template <int kPanels>
    using Kept = Nothing;

    template <Turn kTurn, int kPanels, int kWidth>
    LAP_INLINE static void add(const PanelMatmulArgs& a, const Tile& tile, Nothing, __m512* totals) {
        multiply_pairs<kTurn, kPanels, kWidth>(
            tile, a.x.x + tile.column * a.x.x_stride + tile.k, totals, [&](Panels panels, const float* x, __m512* sums) {
                __m512 even[kPanels], odd[kPanels];
                LAP_UNROLL
                for (int p = 0; p < kPanels; ++p) Pairs::pair(panels.at + p * panels.stride, even[p], odd[p]);
                multiply_value<kPanels, kWidth>(even, x, a.x.x_stride, sums);
                multiply_value<kPanels, kWidth>(odd, x + 1, a.x.x_stride, sums);
            });
    }
};

}  // namespace

void panel_matmul_bf16(const PanelMatmulArgs& a) { multiply_panels<Half<Bf16>>(a); }
void panel_matmul_f16(const PanelMatmulArgs& a) { multiply_panels<Half<F16>>(a); }

}  // namespace lapidary::kernels::avx512
