// Product of q4_0 panels and int8 activations with AVX2: a lane owns a row, a panel is two halves of 8 rows.
// vpmaddubsw sums pairs of K in int16: 8 steps of at most 2 x 15 x 127 are 30480, so nothing saturates.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_units.h"

#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 16")
#endif
#define LAP_INLINE __attribute__((always_inline)) inline

namespace lapidary::kernels::avx2 {
namespace {

constexpr int kHalves = 2;
constexpr int kSteps = 8;            // of four K, in a block of 32
constexpr int64_t kColumnGroup = 6;  // two halves x 6 columns of int16 sums, next to weights and activations
constexpr int64_t kPrefetchBytes = 4096;  // how far ahead of its use a panel is fetched

LAP_INLINE __m256i load(const void* at) { return _mm256_load_si256(static_cast<const __m256i*>(at)); }

// Four K of 8 rows as unsigned bytes: step 2 i is the low, 2 i + 1 the high nibble of group i of 8 K.
LAP_INLINE __m256i nibbles(const uint8_t* block, int step, int half) {
    const __m256i v = load(block + step / 2 * kPanelWordBytes + half * 32);
    return _mm256_and_si256(step % 2 ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15));
}

LAP_INLINE void prefetch(const uint8_t* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }

LAP_INLINE __m256i broadcast(const void* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm256_set1_epi32(word);
}

// pairs[column][half]: int16 sums over a block of 32 K of nibble times q, without the -8.
template <int kColumns>
LAP_INLINE void multiply_block(const uint8_t* block, const int8_t* x, int64_t q_stride, __m256i* pairs) {
    LAP_UNROLL
    for (int step = 0; step < kSteps; ++step) {
        __m256i v[kHalves];
        LAP_UNROLL
        for (int h = 0; h < kHalves; ++h) v[h] = nibbles(block, step, h);
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const __m256i four = broadcast(x + c * q_stride + step * 4);
            LAP_UNROLL
            for (int h = 0; h < kHalves; ++h) {
                __m256i& sum = pairs[c * kHalves + h];
                const __m256i product = _mm256_maddubs_epi16(v[h], four);
                sum = step == 0 ? product : _mm256_add_epi16(sum, product);
                __asm__("" : "+x"(sum));  // GCC would otherwise multiply everything first, and spill it
            }
        }
    }
}

// totals[column][half] += a group of 256 K; x and x_sums are those of the first column.
template <int kColumns>
LAP_INLINE void multiply_group(const uint8_t* panel, const PanelInput& in, int64_t column, int64_t group,
                               __m256* totals) {
    const int8_t* x = in.q + column * in.q_stride + group * kActivationGroup;
    const int16_t* x_sums = in.sums + (column * in.k + group * kActivationGroup) / 16;
    __m256 sum[kColumns * kHalves];
    LAP_UNROLL
    for (int i = 0; i < kColumns * kHalves; ++i) sum[i] = _mm256_setzero_ps();
    for (int64_t unit = 0; unit < kGroupBlocks / 2; ++unit, panel += panel_unit_bytes(Format::q4_0)) {
        LAP_UNROLL
        for (int64_t b = 0; b < 2; ++b, x += 32, x_sums += 2) {
            __m256i pairs[kColumns * kHalves];
            const uint8_t* block = panel + panel_block_values(Format::q4_0, b);
            LAP_UNROLL
            for (int i = 0; i < 4; ++i) prefetch(block + i * kPanelWordBytes + kPrefetchBytes);
            multiply_block<kColumns>(block, x, in.q_stride, pairs);
            const auto* d = reinterpret_cast<const __m128i*>(panel + panel_block_scales(Format::q4_0, b));
            const __m256 halves[kHalves] = {_mm256_cvtph_ps(_mm_load_si128(d)),
                                            _mm256_cvtph_ps(_mm_load_si128(d + 1))};
            LAP_UNROLL
            for (int c = 0; c < kColumns; ++c) {
                const __m256i eight = _mm256_madd_epi16(broadcast(x_sums + c * (in.k / 16)), _mm256_set1_epi16(8));
                LAP_UNROLL
                for (int h = 0; h < kHalves; ++h) {
                    const int i = c * kHalves + h;
                    const __m256i exact =
                        _mm256_sub_epi32(_mm256_madd_epi16(pairs[i], _mm256_set1_epi16(1)), eight);
                    sum[i] = _mm256_fmadd_ps(halves[h], _mm256_cvtepi32_ps(exact), sum[i]);
                }
            }
        }
    }
    LAP_UNROLL
    for (int i = 0; i < kColumns * kHalves; ++i) {
        totals[i] = _mm256_fmadd_ps(_mm256_set1_ps(in.scales[(column + i / kHalves) * (in.k / kActivationGroup) + group]),
                                    sum[i], totals[i]);
    }
}

// One panel times columns from `column` on, all K.
template <int kColumns>
LAP_INLINE void multiply_panel(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
    const uint8_t* at = static_cast<const uint8_t*>(a.panels) + panel * panel_bytes(Format::q4_0, a.x.k);
    __m256 totals[kColumns * kHalves];
    LAP_UNROLL
    for (int i = 0; i < kColumns * kHalves; ++i) totals[i] = _mm256_setzero_ps();
    for (int64_t group = 0; group < a.x.k / kActivationGroup; ++group) {
        multiply_group<kColumns>(at, a.x, column, group, totals);
        at += panel_group_bytes(Format::q4_0);
    }
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    LAP_UNROLL
    for (int i = 0; i < kColumns * kHalves; ++i) {
        const int64_t first = panel * kPanel + i % kHalves * 8,
                      rows = a.rows - first < 8 ? a.rows - first : 8;
        const __m256i exists = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rows)), lane);
        _mm256_maskstore_ps(a.y + (column + i / kHalves) * a.y_stride + first, exists, totals[i]);
    }
}

template <int kColumns>
void multiply_columns(const PanelMatmulArgs& a, int64_t begin, int64_t end, int64_t column) {
    for (; begin < end; ++begin) multiply_panel<kColumns>(a, begin, column);
}

void multiply_tile(const PanelMatmulArgs& a, int64_t begin, int64_t end) {
    const int64_t columns = a.x.columns;
    int64_t c = 0;
    for (; c + kColumnGroup <= columns; c += kColumnGroup) multiply_columns<kColumnGroup>(a, begin, end, c);
    switch (columns - c) {
        case 1: return multiply_columns<1>(a, begin, end, c);
        case 2: return multiply_columns<2>(a, begin, end, c);
        case 3: return multiply_columns<3>(a, begin, end, c);
        case 4: return multiply_columns<4>(a, begin, end, c);
        case 5: return multiply_columns<5>(a, begin, end, c);
        default: return;
    }
}

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) {
    const int64_t step = panels_of_tile(Format::q4_0, a.x.k);
    for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += step) {
        multiply_tile(a, begin, begin + step < a.panel_end ? begin + step : a.panel_end);
    }
}

}  // namespace lapidary::kernels::avx2
