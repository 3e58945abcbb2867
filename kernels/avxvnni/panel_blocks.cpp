// Product of q4_0 and q8_0 panels and int8 activations with AVX-VNNI: a lane owns a row, vpdpbusd sums four K.
// Weights stay unsigned, so every block of 32 K starts from minus the offset times the sum of its activations.
// Only intrinsics that -mavxvnni encodes in VEX; the tests also build this file without the instructions.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#ifndef LAP_PANEL_LEVEL
#define LAP_PANEL_LEVEL avxvnni
#endif
#include "kernels/avxvnni/panel_dot.inl"

namespace lapidary::kernels::LAP_PANEL_LEVEL {
namespace {

// d times exact sums of (weight - offset) q, block after block; the offset is 8 << kShift.
template <class BlockFormat, int kShift, TileShape kShape>
struct BlockGroup {
    using Weights = BlockFormat;
    static constexpr TileShape kTile = kShape;

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void group(const Source& source, const Inputs& in, __m256* sums) {
        LAP_UNROLL
        for (int i = 0; i < kStrips * kColumns; ++i) sums[i] = _mm256_setzero_ps();
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            source.template fetch<kColumns>(in, b);
            __m256i exact[kStrips * kColumns];
            start_at_offset<kStrips, kColumns, kShift>(in, b, exact);
            LAP_UNROLL
            for (int step = 0; step < 8; ++step) multiply_step<kStrips, kColumns>(source, in, b, step, exact);
            add_scaled<Weights, kStrips, kColumns>(source, b, exact, sums);
        }
    }
};

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) {
    multiply_panels<BlockGroup<WeightsQ4_0, 0, avxvnni::kTile_panel_matmul_q4_0>>(a);
}
void panel_matmul_q8_0(const PanelMatmulArgs& a) {
    multiply_panels<BlockGroup<WeightsQ8_0, 4, avxvnni::kTile_panel_matmul_q8_0>>(a);
}

}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
