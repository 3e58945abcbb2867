// Product of q4_k and q6_k panels and int8 activations with AVX-512 VNNI: a lane owns a row, vpdpbusd sums four
// K, whole scales multiply in integers, and a group of 256 K is exact before it becomes a float.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#include "kernels/avx512/panel_int8.inl"

namespace lapidary::kernels::avx512 {
namespace {

LAP_INLINE __m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

LAP_INLINE void store16(uint8_t* at, __m128i v) { _mm_store_si128(reinterpret_cast<__m128i*>(at), v); }

template <int kSums>
LAP_INLINE void clear(__m512i* sums) {
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_setzero_si512();
}

// total[column][panel] += scale[panel] * exact[column][panel], for sums that 16 bits hold and scales with zeros in the high
// half of a lane.
template <int kPanels, int kColumns>
LAP_INLINE void add_scaled(const __m512i* scale, const __m512i* exact, __m512i* total) {
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i)
        total[i] = _mm512_dpwssd_epi32(total[i], exact[i], scale[i % kPanels]);
}

// The 6-bit scales and minima of a q4_k unit, unpacked: [block][row], bytes.
struct ScalesMinima {
    alignas(16) uint8_t scales[kGroupBlocks][kPanel], minima[kGroupBlocks][kPanel];

    // Four blocks lie in the low six bits, the other four in nibbles and top bits (drawing in kernels/blocks.h).
    LAP_INLINE void unpack(const uint8_t* bytes) {
        const __m128i low = _mm_set1_epi8(15), six = _mm_set1_epi8(63), top = _mm_set1_epi8(0x30);
        for (int64_t b = 0; b < 4; ++b) {
            const __m128i s = load16(bytes + kPanel * b), m = load16(bytes + kPanel * (b + 4)),
                          both = load16(bytes + kPanel * (b + 8));
            store16(scales[b], _mm_and_si128(s, six));
            store16(minima[b], _mm_and_si128(m, six));
            const __m128i high_s = _mm_and_si128(_mm_srli_epi16(s, 2), top);
            const __m128i high_m = _mm_and_si128(_mm_srli_epi16(m, 2), top);
            store16(scales[b + 4], _mm_or_si128(_mm_and_si128(both, low), high_s));
            store16(minima[b + 4], _mm_or_si128(_mm_and_si128(_mm_srli_epi16(both, 4), low), high_m));
        }
    }
};

struct Q4K {
    static constexpr Format kFormat = Format::q4_k;
    static constexpr TileShape kTile = kTile_panel_matmul_q4_k;
    static constexpr int64_t kSteps = kGroupBlocks, kKeepFrom = 2;

    template <int kPanels>
    struct Kept {
        Bytes<kPanels> bytes;
        ScalesMinima small[kPanels];
    };

    template <Turn kTurn, int kPanels, int kWidth>
    LAP_INLINE static void group(const Tile& tile, Kept<kPanels>& kept, Inputs<kWidth> in, __m512* sums) {
        const Panels panels = tile.panels;
        constexpr int kSums = kPanels * kWidth;
        if constexpr (kTurn != Turn::later) {
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) kept.small[p].unpack(panels.at + p * panels.stride + kQ4KScales);
        }
        const int16_t* q_sums = in.sums;
        __m512i total[kSums];
        clear<kSums>(total);
        LAP_NO_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b, in.skip(32)) {
            fetch_part<kTurn, kPanels>(tile, b);
            Panels words = panels;
            words.at += kQ4KNibbles + b * 4 * kPanelWordBytes;
            __m512i scale[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) scale[p] = _mm512_cvtepu8_epi32(load16(kept.small[p].scales[b]));
            LAP_UNROLL
            for (int half = 0; half < 2; ++half) {  // up to 16 * 15 * 127
                __m512i exact[kSums];
                clear<kSums>(exact);
                LAP_UNROLL
                for (int i = 2 * half; i < 2 * half + 2; ++i, words.at += kPanelWordBytes) {
                    fetch_alone<kTurn, kPanels, 1>(words);
                    multiply_eight<kTurn, kPanels, kWidth>(words, kept.bytes, b * 4 + i, in, i * 8, unpack_nibbles, exact);
                }
                add_scaled<kPanels, kWidth>(scale, exact, total);
            }
        }
        __m512i minimum[kSums];
        clear<kSums>(minimum);
        LAP_NO_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i pair[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                const __m512i m = _mm512_cvtepu8_epi32(load16(kept.small[p].minima[b]));
                pair[p] = _mm512_or_si512(m, _mm512_slli_epi32(m, 16));
            }
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i)
                minimum[i] = _mm512_dpwssd_epi32(minimum[i], pair[i % kPanels],
                                                 broadcast(q_sums + i / kPanels * in.sums_stride + 2 * b));
        }
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) {
            const uint8_t* unit = panels.at + i % kPanels * panels.stride;
            const __m512 scaled = _mm512_mul_ps(load_half(unit), _mm512_cvtepi32_ps(total[i]));
            sums[i] = _mm512_fnmadd_ps(load_half(unit + kPanelScaleBytes), _mm512_cvtepi32_ps(minimum[i]), scaled);
        }
    }
};

struct Q6K {
    static constexpr Format kFormat = Format::q6_k;
    static constexpr TileShape kTile = kTile_panel_matmul_q6_k;
    static constexpr int64_t kSteps = kGroupBlocks, kKeepFrom = 2;

    template <int kPanels>
    using Kept = Bytes<kPanels>;

    // 8 of the 16 K of a sub-block, four at a time: a word group of low bits and the high bits above them.
    template <int kWord>
    struct Unpack {
        LAP_INLINE void operator()(const uint8_t* at, __m512i& even, __m512i& odd) const {
            const __m512i low = _mm512_set1_epi8(15), top = _mm512_set1_epi8(0x30);
            const __m512i nibbles = load(at + kWord * kPanelWordBytes), high = load(at + kQ6KHighBits);
            constexpr int kSelect = 0xea;  // (a & b) | c
            const __m512i first = kWord == 0 ? _mm512_slli_epi16(high, 4) : high;
            const __m512i second = kWord == 0 ? _mm512_slli_epi16(high, 2) : _mm512_srli_epi16(high, 2);
            even = _mm512_ternarylogic_epi32(first, top, _mm512_and_si512(nibbles, low), kSelect);
            odd = _mm512_ternarylogic_epi32(second, top, _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), low), kSelect);
        }
    };

    // The scales of one half of block `b`, in the low halves of the lanes. [16 rows][2 halves] bytes lie there.
    LAP_INLINE static __m512i scales(const uint8_t* unit, int64_t b, int half) {
        const uint8_t* at = unit + kQ6KScales + b * 2 * kPanel + half;
        return _mm512_maskz_cvtepi8_epi16(0x55555555, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
    }

    // A half of sub-block `sub`; its activations are those at `from` in the block. A sum is up to 8 * 32 * 127.
    template <Turn kTurn, int kPanels, int kWidth, int kWord>
    LAP_INLINE static void add_eight(Panels panels, Bytes<kPanels>& bytes, int64_t sub, const Inputs<kWidth>& in, int from,
                                     const __m512i* scale, __m512i* total) {
        __m512i exact[kPanels * kWidth];
        LAP_UNROLL
        for (int i = 0; i < kPanels * kWidth; ++i)
            exact[i] = broadcast(in.eighths + i / kPanels * in.eighths_stride + from / 8 + kWord);
        multiply_eight<kTurn, kPanels, kWidth>(panels, bytes, sub * 2 + kWord, in, from + kWord * 8, Unpack<kWord>(), exact);
        add_scaled<kPanels, kWidth>(scale, exact, total);
    }

    template <Turn kTurn, int kPanels, int kWidth>
    LAP_INLINE static void group(const Tile& tile, Bytes<kPanels>& bytes, Inputs<kWidth> in, __m512* sums) {
        Panels panels = tile.panels;
        constexpr int kSums = kPanels * kWidth;
        __m512i total[kSums];
        clear<kSums>(total);
        LAP_NO_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b, in.skip(32)) {
            fetch_part<kTurn, kPanels>(tile, b);
            LAP_UNROLL
            for (int half = 0; half < 2; ++half) {
                Panels sub = panels;
                sub.at += kQ6KValues + (2 * b + half) * kQ6KSubBlockBytes;
                fetch_alone<kTurn, kPanels, kQ6KSubBlockBytes / 64>(sub);
                __m512i scale[kPanels];
                LAP_UNROLL
                for (int p = 0; p < kPanels; ++p) scale[p] = scales(panels.at + p * panels.stride, b, half);
                add_eight<kTurn, kPanels, kWidth, 0>(sub, bytes, b * 2 + half, in, half * 16, scale, total);
                add_eight<kTurn, kPanels, kWidth, 1>(sub, bytes, b * 2 + half, in, half * 16, scale, total);
            }
        }
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i)
            sums[i] = _mm512_mul_ps(load_half(panels.at + i % kPanels * panels.stride), _mm512_cvtepi32_ps(total[i]));
    }
};

}  // namespace

void panel_matmul_q4_k(const PanelMatmulArgs& a) { multiply_panels<Quantised<Q4K>>(a); }
void panel_matmul_q6_k(const PanelMatmulArgs& a) { multiply_panels<Quantised<Q6K>>(a); }

}  // namespace lapidary::kernels::avx512
