// Product of q4_0 and q8_0 panels and int8 activations with AVX2: a lane owns a row. vpmaddubsw sums pairs of K in
// int16; eight steps of at most 2 x 15 x 127 are 30480, so a block of 32 K of nibbles is added up before it widens.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#define LAP_PANEL_LEVEL avx2
#include "kernels/avx2/panel_tile.inl"
#include "kernels/avx2/panel_weights.inl"

namespace lapidary::kernels::avx2 {
namespace {

// sum += nibbles times activations. The barrier keeps GCC from multiplying everything first, and spilling it.
LAP_INLINE void add_product(__m256i& sum, __m256i weights, __m256i four) {
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights, four));
    __asm__("" : "+x"(sum));
}

struct Q4_0 {
    using Weights = WeightsQ4_0;
    static constexpr TileShape kTile = kTile_panel_matmul_q4_0;

    // exact[column][strip]: sums of (nibble - 8) times q over a block.
    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void block(const Source& source, const Inputs& in, int64_t b, __m256i* exact) {
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
                    __m256i& sum = exact[c * kStrips + s];
                    if (step == 0) sum = _mm256_setzero_si256();
                    add_product(sum, weights[s], four);
                }
            }
        }
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const __m256i offset = broadcast(in.offsets + c * in.offsets_stride + b);
            LAP_UNROLL
            for (int i = c * kStrips; i < (c + 1) * kStrips; ++i)
                exact[i] = _mm256_add_epi32(_mm256_madd_epi16(exact[i], _mm256_set1_epi16(1)), offset);
        }
    }
};

// A byte is 16 times its high nibble and its low one.
struct Q8_0 {
    using Weights = WeightsQ8_0;
    static constexpr TileShape kTile = kTile_panel_matmul_q8_0;

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void block(const Source& source, const Inputs& in, int64_t b, __m256i* exact) {
        const __m256i nibble = _mm256_set1_epi8(15);
        __m256i high[kStrips * kColumns];
        LAP_UNROLL
        for (int step = 0; step < 8; ++step) {
            __m256i low_weights[kStrips], high_weights[kStrips];
            LAP_UNROLL
            for (int s = 0; s < kStrips; ++s) {
                const __m256i bytes = source.weights(b, step, s);
                low_weights[s] = _mm256_and_si256(bytes, nibble);
                high_weights[s] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
            }
            LAP_UNROLL
            for (int c = 0; c < kColumns; ++c) {
                const __m256i four = broadcast(in.q + c * in.q_stride + b * 32 + step * 4);
                LAP_UNROLL
                for (int s = 0; s < kStrips; ++s) {
                    __m256i &low_sum = exact[c * kStrips + s], &high_sum = high[c * kStrips + s];
                    if (step == 0) low_sum = high_sum = _mm256_setzero_si256();
                    add_product(low_sum, low_weights[s], four);
                    add_product(high_sum, high_weights[s], four);
                }
            }
        }
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const __m256i offset = _mm256_slli_epi32(broadcast(in.offsets + c * in.offsets_stride + b), 4);
            LAP_UNROLL
            for (int i = c * kStrips; i < (c + 1) * kStrips; ++i) {
                const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(exact[i], _mm256_set1_epi16(1)),
                                                     _mm256_madd_epi16(high[i], _mm256_set1_epi16(16)));
                exact[i] = _mm256_add_epi32(sum, offset);
            }
        }
    }
};

template <class Blocks>
struct BlockGroup {
    using Weights = typename Blocks::Weights;
    static constexpr TileShape kTile = Blocks::kTile;

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void group(const Source& source, const Inputs& in, __m256* sums) {
        LAP_UNROLL
        for (int i = 0; i < kStrips * kColumns; ++i) sums[i] = _mm256_setzero_ps();
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            source.template fetch<kColumns>(in, b);
            __m256i exact[kStrips * kColumns];
            Blocks::template block<kStrips, kColumns>(source, in, b, exact);
            add_scaled<Weights, kStrips, kColumns>(source, b, exact, sums);
        }
    }
};

// Many columns of q8_0: 16-bit weights and activations. One vpmaddwd sums two K in 32 bits, where a byte as two nibbles
// takes as many multiplies and adds, and more to put them together.
struct WideQ8_0 {
    // Of the words of 4 K, the pairs (0, 2) and (1, 3) in turn: whoever sums does not ask for their order.
    struct Weights : WeightsQ8_0 {
        static constexpr bool kUnpacks = true;
        static constexpr int kSteps = 16;
        LAP_INLINE static __m256i weights(const uint8_t* group, int64_t block, int step, int strip) {
            const __m256i bytes = WeightsQ8_0::weights(group, block, step / 2, strip);
            const __m256i half =
                step % 2 ? _mm256_srli_epi16(bytes, 8) : _mm256_and_si256(bytes, _mm256_set1_epi16(255));
            return _mm256_sub_epi16(half, _mm256_set1_epi16(128));
        }
    };
    static constexpr TileShape kTile{6};
    static constexpr int64_t kPreparedBytes = 2 * kActivationGroup + 64;  // an odd number of cache lines

    // Per block of 32 K: the pairs (0, 2) of its eight words, then the pairs (1, 3).
    LAP_INLINE static void prepare(const Inputs& in, int64_t columns, int8_t* to) {
        for (int64_t c = 0; c < columns; ++c)
            for (int64_t b = 0; b < kGroupBlocks; ++b) {
                const __m256i bytes = load(in.q + c * in.q_stride + b * 32);
                auto* pairs = reinterpret_cast<__m256i*>(to + c * kPreparedBytes + b * 64);
                _mm256_store_si256(pairs, _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8));
                _mm256_store_si256(pairs + 1, _mm256_srai_epi16(bytes, 8));
            }
    }

    template <int kStrips, int kColumns, class Source>
    LAP_INLINE static void group(const Source& source, const Inputs& in, __m256* sums) {
        LAP_UNROLL
        for (int i = 0; i < kStrips * kColumns; ++i) sums[i] = _mm256_setzero_ps();
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m256i exact[kStrips * kColumns];
            LAP_UNROLL
            for (int step = 0; step < Weights::kSteps; ++step) {
                __m256i weights[kStrips];
                LAP_UNROLL
                for (int s = 0; s < kStrips; ++s) weights[s] = source.weights(b, step, s);
                LAP_UNROLL
                for (int c = 0; c < kColumns; ++c) {
                    const __m256i pair = broadcast(in.q + c * in.q_stride + b * 64 + step % 2 * 32 + step / 2 * 4);
                    LAP_UNROLL
                    for (int s = 0; s < kStrips; ++s) {
                        __m256i& sum = exact[c * kStrips + s];
                        const __m256i product = _mm256_madd_epi16(weights[s], pair);
                        sum = step == 0 ? product : _mm256_add_epi32(sum, product);
                        __asm__("" : "+x"(sum));  // keeps this order: GCC would spill products
                    }
                }
            }
            add_scaled<Weights, kStrips, kColumns>(source, b, exact, sums);
        }
    }
};

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) { multiply_panels<BlockGroup<Q4_0>>(a); }
void panel_matmul_q8_0(const PanelMatmulArgs& a) { multiply_panels<BlockGroup<Q8_0>, WideQ8_0>(a); }

}  // namespace lapidary::kernels::avx2
