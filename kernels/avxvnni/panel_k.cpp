// Product of q4_k and q6_k panels and int8 activations with AVX-VNNI: a lane owns a row, vpdpbusd sums four K,
// whole scales multiply in integers, and a group of 256 K is exact before it becomes a float.
// Only intrinsics that -mavxvnni encodes in VEX; the tests also build this file without the instructions.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#ifndef LAP_PANEL_LEVEL
#define LAP_PANEL_LEVEL avxvnni
#endif
#include "kernels/avxvnni/panel_dot.inl"
#include "kernels/avx2/panel_k.inl"

namespace lapidary::kernels::LAP_PANEL_LEVEL {
namespace {

struct Pairs {
    LAP_INLINE static __m256i add(__m256i sum, __m256i a, __m256i b) { return _mm256_dpwssd_epi32(sum, a, b); }
};

// A block without its offset, sum of (nibble - 8) q, is at most 32 x 8 x 127 = 32512: it fits the low 16 bits of
// its lane, so that vpdpwssd multiplies it by the scale and adds it up. 8 scale (sum of q) comes on top.
struct Q4K {
    using Weights = WeightsQ4K;
    static constexpr TileShape kTile = avxvnni::kTile_panel_matmul_q4_k;

    // The bytes of 8 rows as 32-bit numbers.
    LAP_INLINE static __m256i wide(const uint8_t* bytes, int strip) {
        const uint8_t* at = bytes + strip % kStripsOfPanel * kStripRows;
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
    }
    LAP_INLINE static __m256i twice(__m256i v) { return _mm256_or_si256(v, _mm256_slli_epi32(v, 16)); }

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void group(const Source& source, const Inputs& in, __m256* sums) {
        constexpr int kSums = kStrips * kColumns;
        __m256i total[kSums], minimum[kSums];
        clear<kSums>(total);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            source.template fetch<kColumns>(in, b);
            __m256i exact[kSums], scale[kStrips], offset[kStrips];
            start_at_offset<kStrips, kColumns, 0>(in, b, exact);
            LAP_UNROLL
            for (int step = 0; step < 8; ++step) multiply_step<kStrips, kColumns>(source, in, b, step, exact);
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) {
                scale[s] = wide(Weights::scales(source.table(s), b), s);
                offset[s] = _mm256_slli_epi32(twice(scale[s]), 3);
            }
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i) total[i] = _mm256_dpwssd_epi32(total[i], exact[i], scale[i % kStrips]);
            add_sums<Pairs, kStrips, kColumns>(offset, in, b, total);
        }
        clear<kSums>(minimum);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m256i factors[kStrips];
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) factors[s] = twice(wide(Weights::minima(source.table(s), b), s));
            add_sums<Pairs, kStrips, kColumns>(factors, in, b, minimum);
        }
        finish_q4_k<kStrips, kColumns>(source, total, minimum, sums);
    }
};

struct Q6K {
    using Weights = WeightsQ6K;
    static constexpr TileShape kTile = avxvnni::kTile_panel_matmul_q6_k;

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void group(const Source& source, const Inputs& in, __m256* sums) {
        constexpr int kSums = kStrips * kColumns;
        __m256i total[kSums];
        clear<kSums>(total);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            source.template fetch<kColumns>(in, b);
            __m256i pair[kStrips];  // scales of the two halves of the block, 16 bits each
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) pair[s] = Weights::scale_pairs(source.panel(s), b, s);
            LAP_UNROLL
            for (int half = 0; half < 2; ++half) {
                __m256i exact[kSums];
                clear<kSums>(exact);
                LAP_UNROLL
                for (int step = 0; step < 4; ++step)
                    multiply_step<kStrips, kColumns>(source, in, b, half * 4 + step, exact);
                LAP_UNROLL
                for (int i = 0; i < kSums; ++i) {
                    const __m256i at_top = half == 0 ? _mm256_slli_epi32(pair[i % kStrips], 16) : pair[i % kStrips];
                    const __m256i scaled = _mm256_mullo_epi32(_mm256_srai_epi32(at_top, 16), exact[i]);
                    total[i] = _mm256_add_epi32(total[i], scaled);
                }
            }
        }
        finish_q6_k<Pairs, kStrips, kColumns>(source, in, total, sums);
    }
};

}  // namespace

void panel_matmul_q4_k(const PanelMatmulArgs& a) { multiply_panels<Q4K>(a); }
void panel_matmul_q6_k(const PanelMatmulArgs& a) { multiply_panels<Q6K>(a); }

}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
