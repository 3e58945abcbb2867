// Attention with bf16 dot products (vdpbf16ps) for f16 and q8_0 caches: queries, cache rows and weights are rounded
// to bf16, every sum stays f32. Twice the multiply-adds of f32 per instruction. An f32 cache keeps f32 arithmetic.
#include <immintrin.h>

#include "kernels/simd/prelude.h"

namespace lapidary::kernels::avx512_bf16 {
#include "kernels/simd/lanes_avx512.inl"
namespace {

constexpr int kLanes = static_cast<int>(F::size);

template <class To, class From>
LAP_INLINE To bits(From v) {
    return __builtin_bit_cast(To, v);
}

// Products of pairs: sum + x0 y0 + x1 y1 in every lane.
LAP_INLINE F dot(F x, F y, F sum) { return F(_mm512_dpbf16_ps(sum, bits<__m512bh>(x.data), bits<__m512bh>(y.data))); }
LAP_INLINE F8 dot(F8 x, F8 y, F8 sum) {
    return F8(_mm256_dpbf16_ps(sum, bits<__m256bh>(x.data), bits<__m256bh>(y.data)));
}

// Two vectors rounded to bf16; lane i of the result is the pair (low[i], high[i]).
LAP_INLINE F pairs(F low, F high) {
    const __m512i order = _mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a, 0x190009,
                                           0x180008, 0x170007, 0x160006, 0x150005, 0x140004, 0x130003, 0x120002,
                                           0x110001, 0x100000);
    const __m512i halves = bits<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    return F(_mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves)));
}
LAP_INLINE F8 pairs(F8 low, F8 high) {
    const __m256i order = _mm256_set_epi32(0xf0007, 0xe0006, 0xd0005, 0xc0004, 0xb0003, 0xa0002, 0x90001, 0x80000);
    const __m256i halves = bits<__m256i>(_mm256_cvtne2ps_pbh(high, low));
    return F8(_mm256_castsi256_ps(_mm256_permutexvar_epi16(order, halves)));
}
LAP_INLINE F4 pairs(F4 low, F4 high) {
    const __m128i halves = bits<__m128i>(_mm_cvtne2ps_pbh(high, low));
    return F4(_mm_castsi128_ps(_mm_unpacklo_epi16(halves, _mm_unpackhi_epi64(halves, halves))));
}

// The two halves of a pair as floats.
template <class V>
LAP_INLINE V low_half(V pair) {
    using Bits = xsimd::batch<int32_t, typename V::arch_type>;
    return vector_bits<V>(vector_bits<Bits>(pair) << 16);
}
template <class V>
LAP_INLINE V high_half(V pair) {
    using Bits = xsimd::batch<int32_t, typename V::arch_type>;
    return vector_bits<V>(vector_bits<Bits>(pair) & Bits(static_cast<int32_t>(0xffff0000)));
}

// Sixteen values of a cache row from value i on; PartF16 takes those that are there and zero for the others.
struct LoadF16 {
    LAP_INLINE F operator()(KvRow row, int64_t i) const { return load_half(row.values + 2 * i); }
};
struct LoadQ8 {  // pieces of rows are multiples of 32
    LAP_INLINE F operator()(KvRow row, int64_t i) const {
        const F scale = half_lanes(I(load_u16(row.scales + i / kKvScaleBlock * 2)));
        return load_bytes(reinterpret_cast<const int8_t*>(row.values) + i) * scale;
    }
};
struct PartF16 {
    int64_t end;
    F operator()(KvRow row, int64_t i) const {
        const auto mask = static_cast<__mmask16>(end - i >= 16 ? 0xffff : end > i ? (1 << (end - i)) - 1 : 0);
        return F(_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row.values + 2 * i)));
    }
};

template <class Load>
LAP_INLINE void store_key(Load load, KvRow row, int64_t i, float* out) {
    _mm512_storeu_si512(out, bits<__m512i>(_mm512_cvtne2ps_pbh(load(row, i + 16), load(row, i))));
}
template <class Load>
LAP_INLINE void store_values(Load load, KvRow row0, KvRow row1, int64_t i, float* out) {
    pairs(load(row0, i), load(row1, i)).store_unaligned(out);
}

struct PairMath {
    static constexpr int kPacked = 2;

    template <class V>
    LAP_INLINE static V step(V x, V y, V sum) {
        return dot(x, y, sum);
    }
    static void pack_query(const float* q, int64_t dim, float* out) {
        for (int64_t i = 0; i < dim; i += 32) {
            const auto mask = static_cast<uint32_t>(dim - i >= 32 ? 0xffffffff : (uint64_t{1} << (dim - i)) - 1);
            const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), q + i);
            const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), q + i + 16);
            _mm512_storeu_si512(out + i / 2, bits<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
        }
    }
    // Values [begin, end) of rows, `step` floats from one to the next.
    static void convert_keys(KvFormat format, const KvRow* rows, int count, int64_t begin, int64_t end, float* out,
                             int64_t step) {
        for (int r = 0; r < count; ++r, out += step) {
            const KvRow row = rows[r];
            int64_t i = begin;
            float* to = out;
            if (format == KvFormat::q8_0) {
                for (; i < end; i += 32, to += 16) store_key(LoadQ8(), row, i, to);
            } else {
                for (; i + 32 <= end; i += 32, to += 16) store_key(LoadF16(), row, i, to);
                if (i < end) store_key(PartF16{end}, row, i, to);
            }
        }
    }
    // The same of pairs of positions.
    static void convert_values(KvFormat format, const KvRow* rows, int count, int64_t begin, int64_t end, float* out,
                               int64_t step) {
        for (int u = 0; u < count; ++u, out += step) {
            const KvRow row0 = rows[2 * u], row1 = rows[2 * u + 1];
            int64_t i = begin;
            float* to = out;
            if (format == KvFormat::q8_0) {
                for (; i < end; i += 16, to += 16) store_values(LoadQ8(), row0, row1, i, to);
            } else {
                for (; i + 16 <= end; i += 16, to += 16) store_values(LoadF16(), row0, row1, i, to);
                if (i < end) store_values(PartF16{end}, row0, row1, i, to);
            }
        }
    }
    template <class Body>
    static void with_values(KvFormat format, Body body) {
        const auto pair_of = [](auto load) {
            return [load](const KvRow* rows, int64_t i) LAP_INLINE_LAMBDA { return pairs(load(rows[0], i), load(rows[1], i)); };
        };
        if (format == KvFormat::q8_0) return body(pair_of(LoadQ8()));
        body(pair_of(LoadF16()));
    }
    template <class V>
    LAP_INLINE static V pack(const V* weights, V* total) {
        const V pair = pairs(weights[0], weights[1]);
        *total += low_half(pair);
        *total += high_half(pair);
        return pair;
    }
};

}  // namespace
#include "kernels/simd/attention_lanes.inl"
#include "kernels/simd/attention_few.inl"
#include "kernels/simd/attention.inl"

void attention(const AttentionArgs& a) {
    if (a.format == KvFormat::f32) return avx512::attention(a);
    attend_tile<PairMath>(a);
}

}  // namespace lapidary::kernels::avx512_bf16
