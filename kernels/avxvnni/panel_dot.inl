// What the AVX-VNNI panel kernels share: a step of vpdpbusd over a register tile.
// Tiles and weights are those of AVX2 (kernels/avx2/panel_tile.inl, panel_weights.inl).
#include "kernels/avx2/panel_tile.inl"
#include "kernels/avx2/panel_weights.inl"

namespace lapidary::kernels::LAP_PANEL_LEVEL {
namespace {

// exact[column][strip] += four K.
template <int kStrips, int kColumns, class Source>
LAP_INLINE void multiply_step(const Source& source, const Inputs& in, int64_t block, int step, __m256i* exact) {
    __m256i weights[kStrips];
    LAP_UNROLL
    for (int s = 0; s < kStrips; ++s) weights[s] = source.weights(block, step, s);
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m256i four = broadcast(in.q + c * in.q_stride + block * 32 + step * 4);
        LAP_UNROLL
        for (int s = 0; s < kStrips; ++s) {
            __m256i& sum = exact[c * kStrips + s];
            sum = _mm256_dpbusd_epi32(sum, weights[s], four);
            __asm__("" : "+x"(sum));  // keeps this order: two steps of a sum in a row would wait for each other
        }
    }
}

// exact[column][strip] = -8 times the sum of q over the block, times a power of two.
template <int kStrips, int kColumns, int kShift>
LAP_INLINE void start_at_offset(const Inputs& in, int64_t block, __m256i* exact) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m256i offset = _mm256_slli_epi32(broadcast(in.offsets + c * in.offsets_stride + block), kShift);
        LAP_UNROLL
        for (int s = 0; s < kStrips; ++s) exact[c * kStrips + s] = offset;
    }
}

}  // namespace
}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
