// The 256-bit lanes: what xsimd lacks in one of its versions, in intrinsics. Included once, inside the level's namespace.
namespace {

using Arch = xsimd::fma3<xsimd::avx2>;
using F = xsimd::batch<float, Arch>;
using I = xsimd::batch<int32_t, Arch>;
struct Words {
    I w[4];
};

// Narrower vectors, for few rows.
using F8 = F;
using F4 = xsimd::batch<float, xsimd::sse4_2>;
constexpr bool kWideRegisters = false;  // 16 of them

inline F4 fused(F4 a, F4 b, F4 c) { return F4(_mm_fmadd_ps(a, b, c)); }
inline F fused(F a, F b, F c) { return F(_mm256_fmadd_ps(a, b, c)); }
inline F int_to_float(I v) { return F(_mm256_cvtepi32_ps(v)); }
inline I float_to_int(F v) { return I(_mm256_cvtps_epi32(v)); }  // to nearest, ties to even
inline F bits_as_float(I v) { return F(_mm256_castsi256_ps(v)); }
inline I float_as_bits(F v) { return I(_mm256_castps_si256(v)); }

// Halves first, then neighbours: in our own order, because the versions of xsimd differ in theirs.
inline float sum_of_lanes(F v) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    sum = _mm_hadd_ps(sum, sum);
    return _mm_cvtss_f32(_mm_hadd_ps(sum, sum));
}

inline __m256i two_rows(const uint8_t* p, int64_t stride) {
    const auto row = [=](int64_t r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + r * stride)); };
    return _mm256_inserti128_si256(_mm256_castsi128_si256(row(0)), row(4), 1);
}

// Sixteen bytes of each of 8 rows, transposed: words.w[i] holds dword i of every row.
inline Words load_words(const uint8_t* p, int64_t stride) {
    const __m256i r0 = two_rows(p, stride), r1 = two_rows(p + stride, stride);
    const __m256i r2 = two_rows(p + 2 * stride, stride), r3 = two_rows(p + 3 * stride, stride);
    const __m256i low01 = _mm256_unpacklo_epi32(r0, r1), high01 = _mm256_unpackhi_epi32(r0, r1);
    const __m256i low23 = _mm256_unpacklo_epi32(r2, r3), high23 = _mm256_unpackhi_epi32(r2, r3);
    return {{I(_mm256_unpacklo_epi64(low01, low23)), I(_mm256_unpackhi_epi64(low01, low23)),
             I(_mm256_unpacklo_epi64(high01, high23)), I(_mm256_unpackhi_epi64(high01, high23))}};
}

// Two bytes of each row, zero-extended.
inline I load_shorts(const uint8_t* p, int64_t stride) {
    const auto row = [=](int64_t r) { return static_cast<int32_t>(load_u16(p + r * stride)); };
    return I(_mm256_set_epi32(row(7), row(6), row(5), row(4), row(3), row(2), row(1), row(0)));
}

// The low 16 bits of every lane as f16.
inline F half_lanes(I v) {
    const __m256i clean = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    const __m128i shorts = _mm_packus_epi32(_mm256_castsi256_si128(clean), _mm256_extracti128_si256(clean, 1));
    return F(_mm256_cvtph_ps(shorts));
}

// Four bits of every lane as a float.
template <int kShift>
inline F nibble(I v) {
    return F(_mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(v, kShift), _mm256_set1_epi32(15))));
}

// kIq4Values[byte] for every byte (0 to 15).
inline I look_up_iq4(I codes) {
    const __m128i levels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values));
    return I(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(levels), codes));
}

inline F load_half(const uint8_t* p) {
    return F(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline void store_half(F v, uint8_t* p) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline F load_bytes(const int8_t* p) {
    return F(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))));
}
inline void store_bytes(I v, int8_t* p) {
    const __m128i shorts = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(shorts, shorts));
}

}  // namespace
