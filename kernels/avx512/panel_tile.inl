// What the AVX-512 panel kernels share: how panels and columns are cut into register tiles, and the groups of
// 256 K of the quantised formats. Included once by each panel_<format>.cpp, hence the unnamed namespace.
// A Kernel has kFormat, kColumns (how many at most) and add<kPanels, kColumns>(args, panels, slice, totals): a slice
// of K of that register tile.
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_units.h"

#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#define LAP_NO_UNROLL _Pragma("nounroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 16")
#define LAP_NO_UNROLL _Pragma("GCC unroll 1")
#endif
#define LAP_INLINE __attribute__((always_inline)) inline

namespace lapidary::kernels::avx512 {
namespace {

constexpr int64_t kPrefetchBytes = 4096;  // how far ahead of its use a panel is fetched

// Panels side by side at some K: the next begins `stride` bytes further. What lies `ahead` of a use is fetched with it.
struct Panels {
    const uint8_t* at;
    int64_t stride;
    int64_t ahead;
};

LAP_INLINE __m512i load(const uint8_t* at) { return _mm512_loadu_si512(at); }
LAP_INLINE __m512 load_half(const uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}
LAP_INLINE void prefetch(const uint8_t* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }
LAP_INLINE __m512i broadcast(const void* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
}

// int8 activations at some K of a few columns.
struct Inputs {
    const int8_t* q;
    int64_t q_stride;
    const int16_t* sums;
    int64_t sums_stride;
    const int32_t* offsets;
    int64_t offsets_stride;
};

// exact[column][panel] += weights[panel] * four K.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_step(const __m512i* weights, const int8_t* q, int64_t q_stride, __m512i* exact) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m512i four = broadcast(q + c * q_stride);
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            __m512i& sum = exact[c * kPanels + p];
            sum = _mm512_dpbusd_epi32(sum, weights[p], four);
        }
        // Keeps this order: two steps of a sum in a row would wait for each other.
        __asm__ volatile("" : "+v"(exact[c * kPanels]), "+v"(exact[c * kPanels + kPanels - 1]));
    }
}

// exact += a word group of 8 K in nibbles.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_nibbles(Panels words, const int8_t* q, int64_t q_stride, __m512i* exact) {
    const __m512i low = _mm512_set1_epi8(15);
    __m512i even[kPanels], odd[kPanels];
    LAP_UNROLL
    for (int p = 0; p < kPanels; ++p) {
        const uint8_t* at = words.at + p * words.stride;
        prefetch(at + words.ahead);
        const __m512i bytes = load(at);
        even[p] = _mm512_and_si512(bytes, low);
        odd[p] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
    }
    multiply_step<kPanels, kColumns>(even, q, q_stride, exact);
    multiply_step<kPanels, kColumns>(odd, q + 4, q_stride, exact);
}

// sums[column][panel] of rows `panel` on and columns `column` on: those rows that exist.
template <int kPanels, int kColumns>
LAP_INLINE void store_tile(const PanelMatmulArgs& a, int64_t panel, int64_t column, const __m512* sums) {
    LAP_UNROLL
    for (int i = 0; i < kPanels * kColumns; ++i) {
        const int64_t first = (panel + i % kPanels) * kPanel, rows = a.rows - first;
        const auto exists = static_cast<__mmask16>(rows < kPanel ? (1u << rows) - 1 : 0xffff);
        _mm512_mask_storeu_ps(a.y + (column + i / kPanels) * a.y_stride + first, exists, sums[i]);
    }
}

// Some columns and K of a call: K [k, k + count), count up to kActivationGroup.
struct Slice {
    int64_t column, k, count;
};

// A Kernel of a quantised format. Group has kFormat, kColumns and group<kPanels, kColumns>(panels, inputs, sums): the sums
// of a group of 256 K, without the activation scales.
template <class Group>
struct Quantised {
    static constexpr Format kFormat = Group::kFormat;
    static constexpr int kColumns = Group::kColumns;

    template <int kPanels, int kWidth>
    LAP_INLINE static void add(const PanelMatmulArgs& a, Panels panels, Slice at, __m512* totals) {
        const PanelInput& x = a.x;
        const int64_t groups = x.k / kActivationGroup;
        const Inputs in = {x.q + at.column * x.q_stride + at.k, x.q_stride,
                           x.sums + (at.column * x.k + at.k) / 16, x.k / 16,
                           x.offsets + (at.column * x.k + at.k) / 32, x.k / 32};
        const float* scales = x.scales + at.column * groups + at.k / kActivationGroup;
        __m512 sums[kPanels * kWidth];
        Group::template group<kPanels, kWidth>(panels, in, sums);
        LAP_UNROLL
        for (int i = 0; i < kPanels * kWidth; ++i)
            totals[i] = _mm512_fmadd_ps(_mm512_set1_ps(scales[i / kPanels * groups]), sums[i], totals[i]);
    }
};

template <int kValue>
struct Constant {
    static constexpr int value = kValue;
};

// As many of the columns that are left as the kernel has registers for, the last ones in two equal parts: calls visit with
// that constant, and returns it.
template <class Kernel, class Visit>
LAP_INLINE int64_t with_tile(int64_t left, const Visit& visit) {
    constexpr int64_t kMost = Kernel::kColumns;
    const int64_t take = left >= 2 * kMost ? kMost : left > kMost ? (left + 1) / 2 : left;
    switch (take) {
        case 1: visit(Constant<1>()); break;
        case 2: visit(Constant<2>()); break;
        case 3: visit(Constant<3>()); break;
        case 4: visit(Constant<4>()); break;
        case 5: if constexpr (kMost >= 5) visit(Constant<5>()); break;
        default: if constexpr (kMost >= 6) visit(Constant<6>()); break;
    }
    return take;
}

// Calls visit(panels, slice) for every 256 K of the panels from `panel` on.
template <class Kernel, int kPanels, class Visit>
LAP_INLINE void walk(const PanelMatmulArgs& a, int64_t panel, int64_t column, const Visit& visit) {
    const int64_t stride = panel_bytes(Kernel::kFormat, a.x.k);
    const uint8_t* begin = static_cast<const uint8_t*>(a.panels) + panel * stride;
    Panels panels = {begin, stride, kPrefetchBytes};
    for (int64_t k = 0; k < a.x.k; k += kActivationGroup, panels.at += panel_group_bytes(Kernel::kFormat)) {
        // Past their end lie the panels that follow.
        if (begin + stride - panels.at <= kPrefetchBytes) panels.ahead = kPrefetchBytes + (kPanels - 1) * stride;
        visit(panels, Slice{column, k, a.x.k - k < kActivationGroup ? a.x.k - k : kActivationGroup});
    }
}

// All K of a register tile.
template <class Kernel, int kPanels, int kWidth>
void multiply_alone(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
    __m512 totals[kPanels * kWidth];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kWidth; ++i) totals[i] = _mm512_setzero_ps();
    walk<Kernel, kPanels>(a, panel, column, [&](const Panels& panels, const Slice& at) {
        Kernel::template add<kPanels, kWidth>(a, panels, at, totals);
    });
    store_tile<kPanels, kWidth>(a, panel, column, totals);
}

template <class Kernel, int kPanels, int kWidth>
__attribute__((noinline)) void add_slice(const PanelMatmulArgs& a, const Panels& panels, const Slice& at, __m512* totals) {
    Kernel::template add<kPanels, kWidth>(a, panels, at, totals);
}

constexpr int64_t kTogether = 24;  // columns at most that take turns at 256 K

// Several register tiles take turns at every 256 K, so that memory delivers the next ones while all of them multiply;
// one tile after the other over all K would leave memory idle after the first.
template <class Kernel, int kPanels>
void multiply_together(const PanelMatmulArgs& a, int64_t panel) {
    __m512 totals[kPanels * kTogether];
    for (int64_t i = 0; i < kPanels * a.x.columns; ++i) totals[i] = _mm512_setzero_ps();
    walk<Kernel, kPanels>(a, panel, 0, [&](const Panels& panels, Slice at) {
        while (at.column < a.x.columns) {
            __m512* of_tile = totals + at.column * kPanels;
            at.column += with_tile<Kernel>(a.x.columns - at.column, [&](auto width) {
                add_slice<Kernel, kPanels, decltype(width)::value>(a, panels, at, of_tile);
            });
        }
    });
    for (int64_t c = 0; c < a.x.columns; ++c) store_tile<kPanels, 1>(a, panel, c, totals + c * kPanels);
}

// Two panels at a time, so that a broadcast activation serves twice: visit(panels as a constant, first panel).
template <class Visit>
LAP_INLINE void in_pairs(int64_t begin, int64_t end, const Visit& visit) {
    for (; begin + 2 <= end; begin += 2) visit(Constant<2>(), begin);
    if (begin < end) visit(Constant<1>(), begin);
}

// From so many columns on that arithmetic is the limit, panels stay in the second-level cache while all columns pass by.
template <class Kernel>
void multiply_tile(const PanelMatmulArgs& a, int64_t begin, int64_t end) {
    if (a.x.columns > Kernel::kColumns && a.x.columns <= kTogether) {
        in_pairs(begin, end, [&](auto panels, int64_t p) { multiply_together<Kernel, decltype(panels)::value>(a, p); });
        return;
    }
    for (int64_t c = 0; c < a.x.columns;)
        c += with_tile<Kernel>(a.x.columns - c, [&](auto width) {
            in_pairs(begin, end, [&](auto panels, int64_t p) {
                multiply_alone<Kernel, decltype(panels)::value, decltype(width)::value>(a, p, c);
            });
        });
}

template <class Kernel>
void multiply_panels(const PanelMatmulArgs& a) {
    const int64_t step = panels_of_tile(Kernel::kFormat, a.x.k);
    for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += step)
        multiply_tile<Kernel>(a, begin, begin + step < a.panel_end ? begin + step : a.panel_end);
}

}  // namespace
}  // namespace lapidary::kernels::avx512
