// Product of q4_k and q6_k panels and int8 activations with AVX-512 VNNI: a lane owns a row, vpdpbusd sums four
// K, whole scales multiply in integers, and a group of 256 K is exact before it becomes a float.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#include "kernels/avx512/panel_tile.inl"

namespace lapidary::kernels::avx512 {
namespace {

LAP_INLINE __m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

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

struct Q4K {
    static constexpr Format kFormat = Format::q4_k;

    // Six-bit scales and minima of block `b` of 16 rows, as bytes (drawing in kernels/blocks.h).
    LAP_INLINE static __m128i scales(const uint8_t* bytes, int64_t b) {
        const __m128i low = _mm_set1_epi8(15), six = _mm_set1_epi8(63), top = _mm_set1_epi8(0x30);
        if (b < 4) return _mm_and_si128(load16(bytes + kPanel * b), six);
        const __m128i high = _mm_and_si128(_mm_srli_epi16(load16(bytes + kPanel * (b - 4)), 2), top);
        return _mm_or_si128(_mm_and_si128(load16(bytes + kPanel * (b + 4)), low), high);
    }
    LAP_INLINE static __m128i minima(const uint8_t* bytes, int64_t b) {
        const __m128i low = _mm_set1_epi8(15), six = _mm_set1_epi8(63), top = _mm_set1_epi8(0x30);
        if (b < 4) return _mm_and_si128(load16(bytes + kPanel * (b + 4)), six);
        const __m128i high = _mm_and_si128(_mm_srli_epi16(load16(bytes + kPanel * b), 2), top);
        return _mm_or_si128(_mm_and_si128(_mm_srli_epi16(load16(bytes + kPanel * (b + 4)), 4), low), high);
    }

    template <int kPanels, int kColumns>
    LAP_INLINE static void group(Panels panels, Inputs in, __m512* sums) {
        constexpr int kSums = kPanels * kColumns;
        __m512i total[kSums];
        clear<kSums>(total);
        LAP_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i exact[kSums], scale[kPanels];
            clear<kSums>(exact);
            Panels words = {panels.at + kQ4KNibbles + b * 4 * kPanelWordBytes, panels.stride};
            LAP_UNROLL
            for (int i = 0; i < 4; ++i, words.at += kPanelWordBytes)
                multiply_nibbles<kPanels, kColumns>(words, in.q + b * 32 + i * 8, in.q_stride, exact);
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p)
                scale[p] = _mm512_cvtepu8_epi32(scales(panels.at + p * panels.stride + kQ4KScales, b));
            add_scaled<kPanels, kColumns>(scale, exact, total);
        }
        __m512i minimum[kSums];
        clear<kSums>(minimum);
        LAP_UNROLL
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i pair[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                const __m512i m = _mm512_cvtepu8_epi32(minima(panels.at + p * panels.stride + kQ4KScales, b));
                pair[p] = _mm512_or_si512(m, _mm512_slli_epi32(m, 16));
            }
            add_sums<kPanels, kColumns>(pair, in, b, minimum);
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

    // The weights of 16 K, four at a time: low bits of two word groups and the high bits above them.
    LAP_INLINE static void unpack(const uint8_t* at, __m512i* fours) {
        const __m512i low = _mm512_set1_epi8(15), top = _mm512_set1_epi8(0x30);
        const __m512i first = load(at), second = load(at + kPanelWordBytes), high = load(at + kQ6KHighBits);
        constexpr int kSelect = 0xea;  // (a & b) | c
        const auto with_high = [&](__m512i nibbles, __m512i bits) {
            return _mm512_ternarylogic_epi32(bits, top, _mm512_and_si512(nibbles, low), kSelect);
        };
        fours[0] = with_high(first, _mm512_slli_epi16(high, 4));
        fours[1] = with_high(_mm512_srli_epi16(first, 4), _mm512_slli_epi16(high, 2));
        fours[2] = with_high(second, high);
        fours[3] = with_high(_mm512_srli_epi16(second, 4), _mm512_srli_epi16(high, 2));
    }

    template <int kPanels, int kColumns>
    LAP_INLINE static void group(Panels panels, Inputs in, __m512* sums) {
        constexpr int kSums = kPanels * kColumns;
        __m512i total[kSums];
        clear<kSums>(total);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i pair[kPanels];  // scales of the two halves of the block, 16 bits each
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                const uint8_t* at = panels.at + p * panels.stride + kQ6KScales + b * 2 * kPanel;
                pair[p] = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
            }
            LAP_UNROLL
            for (int64_t half = 0; half < 2; ++half) {
                __m512i exact[kSums], scale[kPanels], fours[kPanels][4];
                clear<kSums>(exact);
                LAP_UNROLL
                for (int p = 0; p < kPanels; ++p) {
                    const uint8_t* at =
                        panels.at + p * panels.stride + kQ6KValues + (2 * b + half) * kQ6KSubBlockBytes;
                    LAP_UNROLL
                    for (int i = 0; i < 3; ++i) prefetch(at + i * 64);
                    unpack(at, fours[p]);
                    scale[p] = half == 0 ? _mm512_srai_epi32(_mm512_slli_epi32(pair[p], 16), 16)
                                         : _mm512_srai_epi32(pair[p], 16);
                }
                LAP_UNROLL
                for (int i = 0; i < 4; ++i) {
                    __m512i weights[kPanels];
                    LAP_UNROLL
                    for (int p = 0; p < kPanels; ++p) weights[p] = fours[p][i];
                    multiply_step<kPanels, kColumns>(weights, in.q + b * 32 + half * 16 + i * 4, in.q_stride, exact);
                }
                add_scaled<kPanels, kColumns>(scale, exact, total);
            }
        }
        __m512i offset[kSums];
        clear<kSums>(offset);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            __m512i pair[kPanels];
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) {
                const uint8_t* at = panels.at + p * panels.stride + kQ6KScales + b * 2 * kPanel;
                pair[p] = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
            }
            add_sums<kPanels, kColumns>(pair, in, b, offset);
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
