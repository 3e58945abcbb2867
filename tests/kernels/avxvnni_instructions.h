// The two instructions of AVX-VNNI that kernels/avxvnni/ names, computed with AVX2. Included before those sources
// where the tests compile them once more (tests/CMakeLists.txt), so that their arithmetic is tested on every CPU.
// Meaning: Intel SDM vol. 2C, VPDPBUSD and VPDPWSSD.
#pragma once

#include <immintrin.h>

namespace lapidary::test {

// Per lane of 32 bits: sum + four products of unsigned and signed bytes.
inline __m256i dot_bytes(__m256i sum, __m256i bytes, __m256i signed_bytes) {
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(bytes, _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(signed_bytes, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(bytes, 8), _mm256_srai_epi16(signed_bytes, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

// Per lane of 32 bits: sum + two products of 16 bits.
inline __m256i dot_words(__m256i sum, __m256i a, __m256i b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }

}  // namespace lapidary::test

#undef _mm256_dpbusd_epi32  // macros in some compilers
#undef _mm256_dpwssd_epi32
#define _mm256_dpbusd_epi32 ::lapidary::test::dot_bytes
#define _mm256_dpwssd_epi32 ::lapidary::test::dot_words
