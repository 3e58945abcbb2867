// Product of q4_k and q6_k panels and int8 activations with AVX2: a lane owns a row. vpmaddubsw sums pairs of K in
// int16, and the vpmaddwd that widens them multiplies by the whole scale; a group of 256 K is exact before it
// becomes a float. Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#define LAP_PANEL_LEVEL avx2
#include "kernels/avx2/panel_tile.inl"
#include "kernels/avx2/panel_weights.inl"
#include "kernels/avx2/panel_k.inl"

namespace lapidary::kernels::avx2 {
namespace {

struct Pairs {
    LAP_INLINE static __m256i add(__m256i sum, __m256i a, __m256i b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
};

struct Q4K {
    using Weights = WeightsQ4K;
    static constexpr TileShape kTile = kTile_panel_matmul_q4_k;

    // The bytes of 8 rows as two equal 16-bit numbers each.
    LAP_INLINE static __m256i twice(const uint8_t* bytes, int strip) {
        const int first = strip % kStripsOfPanel * kStripRows;
        const __m256i all = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
        const auto row = [&](int r) { return (first + r) * 0x00010001 | static_cast<int>(0x80008000); };
        return _mm256_shuffle_epi8(all, _mm256_setr_epi32(row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)));
    }

    // exact[column][strip]: sums of nibble times q over a block, in pairs; 8 x 2 x 15 x 127 stay below 2^15.
    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void block(const Source& source, int64_t b, const Inputs& in, __m256i* pairs) {
        LAP_UNROLL
        for (int step = 0; step < 8; ++step) {
            __m256i weights[kStrips];
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) weights[s] = source.weights(b, step, s);
            LAP_UNROLL
            for (int c = 0; c < kColumns; ++c) {
                const __m256i four = broadcast(in.q + c * in.q_stride + b * 32 + step * 4);
                LAP_UNROLL
                for (int s = 0; s < kStrips; ++s) {
                    __m256i& sum = pairs[c * kStrips + s];
                    const __m256i product = _mm256_maddubs_epi16(weights[s], four);
                    sum = step == 0 ? product : _mm256_add_epi16(sum, product);
                    __asm__("" : "+x"(sum));  // keeps this order: GCC would spill products
                }
            }
        }
    }

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void group(const Source& source, const Inputs& in, __m256* sums) {
        constexpr int kSums = kStrips * kColumns;
        __m256i total[kSums];
        clear<kSums>(total);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            source.template fetch<kColumns>(in, b);
            __m256i pairs[kSums], scale[kStrips];
            block<kStrips, kColumns>(source, b, in, pairs);
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) scale[s] = twice(Weights::scales(source.table(s), b), s);
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i)
                total[i] = _mm256_add_epi32(total[i], _mm256_madd_epi16(pairs[i], scale[i % kStrips]));
        }
        __m256i minimum[kSums];
        clear<kSums>(minimum);
        LAP_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m256i factors[kStrips];
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) factors[s] = twice(Weights::minima(source.table(s), b), s);
            add_sums<Pairs, kStrips, kColumns>(factors, in, b, minimum);
        }
        finish_q4_k<kStrips, kColumns>(source, total, minimum, sums);
    }
};

// Two steps of 2 x 63 x 127 are 32004: they are added before the scale of their 16 K multiplies them.
struct Q6K {
    using Weights = WeightsQ6K;
    static constexpr TileShape kTile = kTile_panel_matmul_q6_k;

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void group(const Source& source, const Inputs& in, __m256* sums) {
        constexpr int kSums = kStrips * kColumns;
        __m256i total[kSums];
        clear<kSums>(total);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            source.template fetch<kColumns>(in, b);
            __m256i scale[2][kStrips];  // of each half of the block, twice 16 bits
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) {
                const __m256i both = Weights::scale_pairs(source.panel(s), b, s);
                scale[0][s] = _mm256_blend_epi16(both, _mm256_slli_epi32(both, 16), 0xaa);
                scale[1][s] = _mm256_blend_epi16(_mm256_srli_epi32(both, 16), both, 0xaa);
            }
            LAP_UNROLL
            for (int step = 0; step < 8; step += 2) {
                __m256i first[kStrips], second[kStrips];
                LAP_UNROLL
                for (int s = 0; s < kStrips; ++s) {
                    first[s] = source.weights(b, step, s);
                    second[s] = source.weights(b, step + 1, s);
                }
                LAP_UNROLL
                for (int c = 0; c < kColumns; ++c) {
                    const int8_t* q = in.q + c * in.q_stride + b * 32 + step * 4;
                    const __m256i low = broadcast(q), high = broadcast(q + 4);
                    LAP_UNROLL
                    for (int s = 0; s < kStrips; ++s) {
                        __m256i& sum = total[c * kStrips + s];
                        const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(first[s], low),
                                                               _mm256_maddubs_epi16(second[s], high));
                        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, scale[step / 4][s]));
                        __asm__("" : "+x"(sum));  // keeps this order: GCC would spill products
                    }
                }
            }
        }
        finish_q6_k<Pairs, kStrips, kColumns>(source, in, total, sums);
    }
};

}  // namespace

void panel_matmul_q4_k(const PanelMatmulArgs& a) { multiply_panels<Q4K>(a); }
void panel_matmul_q6_k(const PanelMatmulArgs& a) { multiply_panels<Q6K>(a); }

}  // namespace lapidary::kernels::avx2
