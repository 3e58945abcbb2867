// Product of bf16 panels and activations rounded to bf16: vdpbf16ps sums two K per lane, twice the rate of f32.
// An extension of level avx512, called through its table (kernels.inc) where the CPU has the instruction.
#include "kernels/avx512/panel_pairs.inl"

namespace lapidary::kernels::avx512_bf16 {
namespace {

using namespace avx512;

struct Bf16Pairs {
    static constexpr Format kFormat = Format::bf16;
    static constexpr TileShape kTile = kTile_panel_matmul_bf16;
    static constexpr int64_t kSteps = kHalfSteps, kKeepFrom = kNeverKept;

    template <int kPanels>
    using Kept = Nothing;

    template <Turn kTurn, int kPanels, int kWidth>
    LAP_INLINE static void add(const PanelMatmulArgs& a, const Tile& tile, Nothing, __m512* totals) {
        multiply_pairs<kTurn, kPanels, kWidth>(
            tile, a.x.xb + tile.column * a.x.x_stride + tile.k, totals, [&](Panels panels, const uint16_t* x, __m512* sums) {
                LAP_UNROLL
                for (int c = 0; c < kWidth; ++c) {
                    const auto pair = reinterpret_cast<__m512bh>(broadcast(x + c * a.x.x_stride));
                    LAP_UNROLL
                    for (int p = 0; p < kPanels; ++p) {
                        const auto weights = reinterpret_cast<__m512bh>(load(panels.at + p * panels.stride));
                        sums[c * kPanels + p] = _mm512_dpbf16_ps(sums[c * kPanels + p], weights, pair);
                    }
                }
            });
    }
};

}  // namespace

void panel_matmul_bf16(const PanelMatmulArgs& a) { multiply_panels<Bf16Pairs>(a); }

void round_bf16(const float* x, int64_t n, uint16_t* y) {
    for (int64_t i = 0; i < n; i += 16) {
        const auto exists = static_cast<__mmask16>(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
        const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(exists, x + i));
        _mm256_mask_storeu_epi16(y + i, exists, reinterpret_cast<__m256i>(rounded));
    }
}

}  // namespace lapidary::kernels::avx512_bf16
