// Product of q4_k and q6_k panels and int8 activations with AVX2: a lane owns a row. vpmaddubsw sums pairs of K in
// int16, and the vpmaddwd that widens them multiplies by the whole scale; a group of 256 K is exact before it
// becomes a float. Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#define LAP_PANEL_LEVEL avx2
#include "kernels/avx2/panel_tile.inl"
#include "kernels/avx2/panel_weights.inl"

namespace lapidary::kernels::avx2 {
namespace {

template <int kSums>
LAP_INLINE void clear(__m256i* sums) {
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) sums[i] = _mm256_setzero_si256();
}

// Pairs of 16-bit factors, one pair per 16 K of a block of 32, times the activation sums: total[column][strip] +=.
template <int kStrips, int kColumns>
LAP_INLINE void add_sums(const __m256i* factors, const Inputs& in, int64_t block, __m256i* total) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m256i pair = broadcast(in.sums + c * in.sums_stride + 2 * block);
        LAP_UNROLL
        for (int s = 0; s < kStrips; ++s) {
            __m256i& sum = total[c * kStrips + s];
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(factors[s], pair));
        }
    }
}

struct Q4K {
    using Weights = WeightsQ4K;
    static constexpr int kMaxColumns = 6, kTwoPanelColumns = 2;

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
            add_sums<kStrips, kColumns>(factors, in, b, minimum);
        }
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) {
            const uint8_t* unit = source.panel(i % kStrips) + i % kStrips % kStripsOfPanel * 16;
            const __m256 scaled = _mm256_mul_ps(load_half(unit), _mm256_cvtepi32_ps(total[i]));
            sums[i] = _mm256_fnmadd_ps(load_half(unit + kPanelScaleBytes), _mm256_cvtepi32_ps(minimum[i]), scaled);
        }
    }
};

// Two steps of 2 x 63 x 127 are 32004: they are added before the scale of their 16 K multiplies them.
struct Q6K {
    using Weights = WeightsQ6K;
    static constexpr int kMaxColumns = 4, kTwoPanelColumns = 2;

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
        __m256i offset[kSums];
        clear<kSums>(offset);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m256i factors[kStrips];
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) factors[s] = Weights::scale_pairs(source.panel(s), b, s);
            add_sums<kStrips, kColumns>(factors, in, b, offset);
        }
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) {
            const __m256i exact = _mm256_sub_epi32(total[i], _mm256_slli_epi32(offset[i], 5));
            const __m256 d = load_half(source.panel(i % kStrips) + i % kStrips % kStripsOfPanel * 16);
            sums[i] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(exact));
        }
    }
};

}  // namespace

void panel_matmul_q4_k(const PanelMatmulArgs& a) { multiply_panels<Q4K>(a); }
void panel_matmul_q6_k(const PanelMatmulArgs& a) { multiply_panels<Q6K>(a); }

}  // namespace lapidary::kernels::avx2
