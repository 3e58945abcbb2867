// The 512-bit lanes: what xsimd lacks in one of its versions, in intrinsics. Included once, inside the level's namespace.
namespace {

using Arch = xsimd::avx512bw;
using F = xsimd::batch<float, Arch>;
using I = xsimd::batch<int32_t, Arch>;
struct Words {
    I w[4];
};

// Narrower vectors, for few rows.
using F8 = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
using F4 = xsimd::batch<float, xsimd::sse4_2>;
constexpr bool kWideRegisters = true;  // 32 of them

inline F4 fused(F4 a, F4 b, F4 c) { return F4(_mm_fmadd_ps(a, b, c)); }
inline F8 fused(F8 a, F8 b, F8 c) { return F8(_mm256_fmadd_ps(a, b, c)); }
inline F fused(F a, F b, F c) { return F(_mm512_fmadd_ps(a, b, c)); }
inline F int_to_float(I v) { return F(_mm512_cvtepi32_ps(v)); }
inline I float_to_int(F v) { return I(_mm512_cvtps_epi32(v)); }  // to nearest, ties to even
inline F bits_as_float(I v) { return F(_mm512_castsi512_ps(v)); }
inline I float_as_bits(F v) { return I(_mm512_castps_si512(v)); }

// Halves first, then neighbours: in our own order, because the versions of xsimd differ in theirs.
inline float sum_of_lanes(F v) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    sum = _mm_hadd_ps(sum, sum);
    return _mm_cvtss_f32(_mm_hadd_ps(sum, sum));
}

inline __m512i four_rows(const uint8_t* p, int64_t stride) {
    const auto row = [=](int64_t r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + r * stride)); };
    __m512i rows = _mm512_castsi128_si512(row(0));
    rows = _mm512_inserti32x4(rows, row(4), 1);
    rows = _mm512_inserti32x4(rows, row(8), 2);
    return _mm512_inserti32x4(rows, row(12), 3);
}

// Sixteen bytes of each of 16 rows, transposed: words.w[i] holds dword i of every row.
inline Words load_words(const uint8_t* p, int64_t stride) {
    const __m512i r0 = four_rows(p, stride), r1 = four_rows(p + stride, stride);
    const __m512i r2 = four_rows(p + 2 * stride, stride), r3 = four_rows(p + 3 * stride, stride);
    const __m512i low01 = _mm512_unpacklo_epi32(r0, r1), high01 = _mm512_unpackhi_epi32(r0, r1);
    const __m512i low23 = _mm512_unpacklo_epi32(r2, r3), high23 = _mm512_unpackhi_epi32(r2, r3);
    return {{I(_mm512_unpacklo_epi64(low01, low23)), I(_mm512_unpackhi_epi64(low01, low23)),
             I(_mm512_unpacklo_epi64(high01, high23)), I(_mm512_unpackhi_epi64(high01, high23))}};
}

// Two bytes of each row, zero-extended.
inline I load_shorts(const uint8_t* p, int64_t stride) {
    const auto row = [=](int64_t r) { return static_cast<int32_t>(load_u16(p + r * stride)); };
    return I(_mm512_set_epi32(row(15), row(14), row(13), row(12), row(11), row(10), row(9), row(8), row(7),
                              row(6), row(5), row(4), row(3), row(2), row(1), row(0)));
}

// The low 16 bits of every lane as f16.
inline F half_lanes(I v) { return F(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(v))); }

// Four bits of every lane as a float: a table look-up, because vpermps reads just the low four bits.
template <int kShift>
inline F nibble(I v) {
    const __m512 table = _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return F(_mm512_permutexvar_ps(_mm512_srli_epi32(v, kShift), table));
}

// kIq4Values[byte] for every byte (0 to 15).
inline I look_up_iq4(I codes) {
    const __m128i levels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values));
    return I(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(levels), codes));
}

inline F load_half(const uint8_t* p) {
    return F(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
inline void store_half(F v, uint8_t* p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline F load_bytes(const int8_t* p) {
    return F(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))));
}
inline void store_bytes(I v, int8_t* p) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
}

}  // namespace
