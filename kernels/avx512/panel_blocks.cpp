// Product of q4_0 and q8_0 panels and int8 activations with AVX-512 VNNI: a lane owns a row, vpdpbusd sums four
// K. Weights stay unsigned, so every block of 32 K starts from minus the offset times the sum of its activations.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#include "kernels/avx512/panel_tile.inl"

namespace lapidary::kernels::avx512 {
namespace {

struct Q4_0 {
    static constexpr Format kFormat = Format::q4_0;
    static constexpr int kOffsetShift = 0;  // of "-8 times the sum"

    template <int kPanels, int kColumns>
    LAP_INLINE static void block(Panels values, const int8_t* q, int64_t q_stride, __m512i* exact) {
        LAP_UNROLL
        for (int i = 0; i < 4; ++i, values.at += kPanelWordBytes)
            multiply_nibbles<kPanels, kColumns>(values, q + i * 8, q_stride, exact);
    }
};

struct Q8_0 {
    static constexpr Format kFormat = Format::q8_0;
    static constexpr int kOffsetShift = 4;

    template <int kPanels, int kColumns>
    LAP_INLINE static void block(Panels values, const int8_t* q, int64_t q_stride, __m512i* exact) {
        LAP_UNROLL
        for (int i = 0; i < 8; ++i, values.at += kPanelWordBytes) {
            __m512i weights[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                prefetch(values.at + p * values.stride + values.ahead);
                weights[p] = load(values.at + p * values.stride);
            }
            multiply_step<kPanels, kColumns>(weights, q + i * 4, q_stride, exact);
        }
    }
};

template <class Blocks>
struct BlockGroup {
    static constexpr Format kFormat = Blocks::kFormat;
    static constexpr int kColumns = 6;  // 12 integer and 12 float sums next to the weights

    template <int kPanels, int kWidth>
    LAP_INLINE static void group(Panels panels, Inputs in, __m512* sums) {
        constexpr int kSums = kPanels * kWidth;
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) sums[i] = _mm512_setzero_ps();
        for (int64_t unit = 0; unit < kGroupBlocks / 2; ++unit, panels.at += panel_unit_bytes(kFormat)) {
            LAP_UNROLL
            for (int64_t b = 0; b < 2; ++b, in.q += 32, ++in.offsets) {
                __m512i exact[kSums];
                LAP_UNROLL
                for (int i = 0; i < kSums; ++i)
                    exact[i] = _mm512_slli_epi32(broadcast(in.offsets + i / kPanels * in.offsets_stride),
                                                 Blocks::kOffsetShift);
                const Panels values = {panels.at + panel_block_values(kFormat, b), panels.stride, panels.ahead};
                Blocks::template block<kPanels, kWidth>(values, in.q, in.q_stride, exact);
                LAP_UNROLL
                for (int p = 0; p < kPanels; ++p) {
                    const __m512 d = load_half(panels.at + p * panels.stride + panel_block_scales(kFormat, b));
                    LAP_UNROLL
                    for (int i = p; i < kSums; i += kPanels)
                        sums[i] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(exact[i]), sums[i]);
                }
            }
        }
    }
};

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) { multiply_panels<Quantised<BlockGroup<Q4_0>>>(a); }
void panel_matmul_q8_0(const PanelMatmulArgs& a) { multiply_panels<Quantised<BlockGroup<Q8_0>>>(a); }

}  // namespace lapidary::kernels::avx512
