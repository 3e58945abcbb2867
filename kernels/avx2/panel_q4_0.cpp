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
constexpr int kSteps = 8;                  // of four K, in a block of 32
constexpr int64_t kColumnGroup = 6;        // two halves x 6 columns of int16 sums, next to weights and activations
constexpr int64_t kUnpackColumns = 24;     // from here on unpacking once pays
constexpr int64_t kPrefetchBytes = 4096;   // how far ahead of its use a panel is fetched

// What the kernels below work on: one panel, one group of 256 K.
struct Work {
    const PanelMatmulArgs* args;
    const uint8_t* panel;  // at the group
    int64_t group;
    uint8_t* bytes;  // scratch [8 blocks][8 steps][64]: the nibbles as bytes
    float* totals;   // scratch [T][16]
};

LAP_INLINE __m256i load(const void* at) { return _mm256_load_si256(static_cast<const __m256i*>(at)); }

// Four K of 8 rows as unsigned bytes: step 2 i is the low, 2 i + 1 the high nibble of group i of 8 K.
LAP_INLINE __m256i nibbles(const uint8_t* block, int step, int half) {
    const __m256i v = load(block + step / 2 * kPanelGroupBytes + half * 32);
    return _mm256_and_si256(step % 2 ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15));
}

void unpack(const Work& w) {
    for (int64_t b = 0; b < kGroupBlocks; ++b) {
        const uint8_t* block = w.panel + panel_nibbles_offset(b);
        LAP_UNROLL
        for (int i = 0; i < kSteps * kHalves; ++i) {
            _mm256_store_si256(reinterpret_cast<__m256i*>(w.bytes + (b * kSteps * kHalves + i) * 32),
                               nibbles(block, i / kHalves, i % kHalves));
        }
    }
}

LAP_INLINE __m256i broadcast(const void* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm256_set1_epi32(word);
}

// sums[column][half] of int16 pairs over a block: nibble times q, without the -8.
template <int kColumns, bool kUnpacked>
LAP_INLINE void multiply_block(const uint8_t* weights, const int8_t* x, __m256i* sums) {
    LAP_UNROLL
    for (int step = 0; step < kSteps; ++step) {
        __m256i v[kHalves];
        LAP_UNROLL
        for (int h = 0; h < kHalves; ++h) {
            v[h] = kUnpacked ? load(weights + (step * kHalves + h) * 32) : nibbles(weights, step, h);
        }
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const __m256i four = broadcast(x + c * 32 + step * 4);
            LAP_UNROLL
            for (int h = 0; h < kHalves; ++h) {
                __m256i& sum = sums[c * kHalves + h];
                const __m256i product = _mm256_maddubs_epi16(v[h], four);
                sum = step == 0 ? product : _mm256_add_epi16(sum, product);
                __asm__("" : "+x"(sum));  // GCC would otherwise multiply everything first, and spill it
            }
        }
    }
}

// totals += one group of 256 K for kColumns columns.
template <int kColumns, bool kUnpacked>
LAP_INLINE void multiply_group(const Work& w, int64_t column) {
    const PanelInput& in = w.args->x;
    const int64_t at = w.group * kGroupBlocks * in.columns + column;
    const int8_t* x = in.q + at * 32;
    const int32_t* x_sums = in.sums + at;
    __m256 sum[kColumns * kHalves];
    LAP_UNROLL
    for (int i = 0; i < kColumns * kHalves; ++i) sum[i] = _mm256_setzero_ps();
    for (int64_t b = 0; b < kGroupBlocks; ++b) {
        __m256i pairs[kColumns * kHalves];
        const uint8_t* packed = w.panel + panel_nibbles_offset(b);
        if (!kUnpacked) {
            LAP_UNROLL
            for (int i = 0; i < 4; ++i) {
                _mm_prefetch(reinterpret_cast<const char*>(packed + i * 64 + kPrefetchBytes), _MM_HINT_T0);
            }
        }
        multiply_block<kColumns, kUnpacked>(kUnpacked ? w.bytes + b * kSteps * kHalves * 32 : packed, x, pairs);
        const auto* d = reinterpret_cast<const __m128i*>(w.panel + panel_scales_offset(b));
        const __m256 scales[kHalves] = {_mm256_cvtph_ps(_mm_load_si128(d)), _mm256_cvtph_ps(_mm_load_si128(d + 1))};
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const __m256i eight = _mm256_slli_epi32(broadcast(x_sums + c), 3);
            LAP_UNROLL
            for (int h = 0; h < kHalves; ++h) {
                const int i = c * kHalves + h;
                const __m256i exact = _mm256_sub_epi32(_mm256_madd_epi16(pairs[i], _mm256_set1_epi16(1)), eight);
                sum[i] = _mm256_fmadd_ps(scales[h], _mm256_cvtepi32_ps(exact), sum[i]);
            }
        }
        x += in.columns * 32;
        x_sums += in.columns;
    }
    const float* scales = in.scales + w.group * in.columns + column;
    float* totals = w.totals + column * kPanel;
    LAP_UNROLL
    for (int i = 0; i < kColumns * kHalves; ++i) {
        const __m256 total = _mm256_load_ps(totals + i * 8);
        _mm256_store_ps(totals + i * 8, _mm256_fmadd_ps(_mm256_set1_ps(scales[i / kHalves]), sum[i], total));
    }
}

template <bool kUnpacked>
void multiply_columns(const Work& w) {
    const int64_t columns = w.args->x.columns;
    int64_t c = 0;
    for (; c + kColumnGroup <= columns; c += kColumnGroup) multiply_group<kColumnGroup, kUnpacked>(w, c);
    switch (columns - c) {
        case 1: return multiply_group<1, kUnpacked>(w, c);
        case 2: return multiply_group<2, kUnpacked>(w, c);
        case 3: return multiply_group<3, kUnpacked>(w, c);
        case 4: return multiply_group<4, kUnpacked>(w, c);
        case 5: return multiply_group<5, kUnpacked>(w, c);
        default: return;
    }
}

// The rows of the panel that exist.
void store_rows(const PanelMatmulArgs& a, int64_t panel, const float* totals) {
    const int64_t first = panel * kPanel, rows = a.rows - first < kPanel ? a.rows - first : kPanel;
    for (int64_t c = 0; c < a.x.columns; ++c) {
        float* y = a.y + c * a.y_stride + first;
        for (int64_t row = 0; row < rows; row += 8) {
            const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            const __m256i exists = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rows - row)), lane);
            _mm256_maskstore_ps(y + row, exists, _mm256_load_ps(totals + c * kPanel + row));
        }
    }
}

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) {
    Work w;
    w.args = &a;
    w.bytes = static_cast<uint8_t*>(a.scratch);
    w.totals = reinterpret_cast<float*>(w.bytes + kUnpackedBytes);
    for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
        w.panel = static_cast<const uint8_t*>(a.panels) + panel * panel_bytes(Format::q4_0, a.x.k);
        for (int64_t i = 0; i < a.x.columns * 2; ++i) _mm256_store_ps(w.totals + i * 8, _mm256_setzero_ps());
        for (w.group = 0; w.group < a.x.k / kActivationGroup; ++w.group) {
            if (a.x.columns >= kUnpackColumns) {
                unpack(w);
                multiply_columns<true>(w);
            } else {
                multiply_columns<false>(w);
            }
            w.panel += kGroupBlocks / 2 * kPanelUnitBytes;
        }
        store_rows(a, panel, w.totals);
    }
}

}  // namespace lapidary::kernels::avx2
