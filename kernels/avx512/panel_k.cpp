// Product of q4_k and q6_k panels and int8 activations with AVX-512 VNNI: a lane owns a row, vpdpbusd sums four
// K, whole scales multiply in integers, and a group of 256 K is exact before it becomes a float.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#include "kernels/avx512/panel_tile.inl"

namespace lapidary::kernels::avx512 {
namespace {

LAP_INLINE __m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

LAP_INLINE void store16(uint8_t* at, __m128i v) { _mm_store_si128(reinterpret_cast<__m128i*>(at), v); }

template <int kSums>
LAP_INLINE void clear(__m512i* sums) {
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_setzero_si512();
}

// total[column][panel] += scale[panel] * exact[column][panel].
template <int kPanels, int kColumns>
LAP_INLINE void add_scaled(const __m512i* scale, const __m512i* exact, __m512i* total) {
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i)
        total[i] = _mm512_add_epi32(total[i], _mm512_mullo_epi32(scale[i % kPanels], exact[i]));
}

// Pairs of 16-bit factors, one pair per 16 K of a block of 32, times the activation sums: total[column][panel] +=.
template <int kPanels, int kColumns>
LAP_INLINE void add_sums(const __m512i* factors, const Inputs& in, int64_t block, __m512i* total) {
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i)
        total[i] = _mm512_dpwssd_epi32(total[i], factors[i % kPanels],
                                       broadcast(in.sums + i / kPanels * in.sums_stride + 2 * block));
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
    static constexpr int kColumns = 6;

    template <int kPanels, int kWidth>
    LAP_INLINE static void group(Panels panels, Inputs in, __m512* sums) {
        constexpr int kSums = kPanels * kWidth;
        ScalesMinima unpacked[kPanels];
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) unpacked[p].unpack(panels.at + p * panels.stride + kQ4KScales);
        __m512i total[kSums];
        clear<kSums>(total);
        LAP_NO_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i exact[kSums], scale[kPanels];
            clear<kSums>(exact);
            Panels words = {panels.at + kQ4KNibbles + b * 4 * kPanelWordBytes, panels.stride, panels.ahead};
            LAP_UNROLL
            for (int i = 0; i < 4; ++i, words.at += kPanelWordBytes)
                multiply_nibbles<kPanels, kWidth>(words, in.q + b * 32 + i * 8, in.q_stride, exact);
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) scale[p] = _mm512_cvtepu8_epi32(load16(unpacked[p].scales[b]));
            add_scaled<kPanels, kWidth>(scale, exact, total);
        }
        __m512i minimum[kSums];
        clear<kSums>(minimum);
        LAP_NO_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i pair[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                const __m512i m = _mm512_cvtepu8_epi32(load16(unpacked[p].minima[b]));
                pair[p] = _mm512_or_si512(m, _mm512_slli_epi32(m, 16));
            }
            add_sums<kPanels, kWidth>(pair, in, b, minimum);
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
    static constexpr int kColumns = 4;  // more would spill

    // 8 of the 16 K of a sub-block, four at a time: a word group of low bits and the high bits above them.
    template <int kWord>
    LAP_INLINE static void unpack(const uint8_t* at, __m512i* fours) {
        const __m512i low = _mm512_set1_epi8(15), top = _mm512_set1_epi8(0x30);
        const __m512i nibbles = load(at + kWord * kPanelWordBytes), high = load(at + kQ6KHighBits);
        constexpr int kSelect = 0xea;  // (a & b) | c
        const __m512i first = kWord == 0 ? _mm512_slli_epi16(high, 4) : high;
        const __m512i second = kWord == 0 ? _mm512_slli_epi16(high, 2) : _mm512_srli_epi16(high, 2);
        fours[0] = _mm512_ternarylogic_epi32(first, top, _mm512_and_si512(nibbles, low), kSelect);
        fours[1] = _mm512_ternarylogic_epi32(second, top, _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), low),
                                             kSelect);
    }

    // exact += the half of a sub-block.
    template <int kPanels, int kWidth, int kWord>
    LAP_INLINE static void multiply_word(Panels sub, const int8_t* q, int64_t q_stride, __m512i* exact) {
        __m512i first[kPanels], second[kPanels];
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            __m512i fours[2];
            unpack<kWord>(sub.at + p * sub.stride, fours);
            first[p] = fours[0];
            second[p] = fours[1];
        }
        multiply_step<kPanels, kWidth>(first, q, q_stride, exact);
        multiply_step<kPanels, kWidth>(second, q + 4, q_stride, exact);
    }

    // Scales of the two halves of block `b`, 16 bits each.
    LAP_INLINE static __m512i scale_pair(const uint8_t* unit, int64_t b) {
        const uint8_t* at = unit + kQ6KScales + b * 2 * kPanel;
        return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
    }

    template <int kPanels, int kWidth>
    LAP_INLINE static void group(Panels panels, Inputs in, __m512* sums) {
        constexpr int kSums = kPanels * kWidth;
        __m512i total[kSums];
        clear<kSums>(total);
        LAP_NO_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            LAP_UNROLL
            for (int64_t half = 0; half < 2; ++half) {
                const Panels sub = {panels.at + kQ6KValues + (2 * b + half) * kQ6KSubBlockBytes, panels.stride, panels.ahead};
                LAP_UNROLL
                for (int i = 0; i < 3 * kPanels; ++i) prefetch(sub.at + i / 3 * sub.stride + i % 3 * 64 + sub.ahead);
                const int8_t* q = in.q + b * 32 + half * 16;
                __m512i exact[kSums], scale[kPanels];
                clear<kSums>(exact);
                multiply_word<kPanels, kWidth, 0>(sub, q, in.q_stride, exact);
                multiply_word<kPanels, kWidth, 1>(sub, q + 8, in.q_stride, exact);
                LAP_UNROLL
                for (int p = 0; p < kPanels; ++p) {
                    const __m512i pair = scale_pair(panels.at + p * panels.stride, b);
                    scale[p] = _mm512_srai_epi32(half == 0 ? _mm512_slli_epi32(pair, 16) : pair, 16);
                }
                add_scaled<kPanels, kWidth>(scale, exact, total);
            }
        }
        __m512i offset[kSums];
        clear<kSums>(offset);
        LAP_NO_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i pair[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) pair[p] = scale_pair(panels.at + p * panels.stride, b);
            add_sums<kPanels, kWidth>(pair, in, b, offset);
        }
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) {
            const __m512i exact = _mm512_sub_epi32(total[i], _mm512_slli_epi32(offset[i], 5));
            sums[i] = _mm512_mul_ps(load_half(panels.at + i % kPanels * panels.stride), _mm512_cvtepi32_ps(exact));
        }
    }
};

}  // namespace

void panel_matmul_q4_k(const PanelMatmulArgs& a) { multiply_panels<Quantised<Q4K>>(a); }
void panel_matmul_q6_k(const PanelMatmulArgs& a) { multiply_panels<Quantised<Q6K>>(a); }

}  // namespace lapidary::kernels::avx512
