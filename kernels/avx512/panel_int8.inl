// What the AVX-512 kernels of quantised panels share, beside panel_tile.inl.
#include "kernels/avx512/panel_tile.inl"

namespace lapidary::kernels::avx512 {
namespace {

// int8 activations at some K of a few columns.
template <int kColumns>
struct Inputs {
    const int8_t* q[kColumns];
    const int16_t* sums;
    int64_t sums_stride;
    const int32_t* offsets;
    int64_t offsets_stride;
    const int32_t* eighths;
    int64_t eighths_stride;

    LAP_INLINE Inputs(const PanelInput& x, int64_t column, int64_t k)
        : sums_stride(x.k >> 4), offsets_stride(x.k >> 5), eighths_stride(x.k >> 3) {
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) q[c] = x.q + (column + c) * x.q_stride + k;
        sums = x.sums + column * sums_stride + (k >> 4);
        offsets = x.offsets + column * offsets_stride + (k >> 5);
        eighths = x.eighths + column * eighths_stride + (k >> 3);
    }
    // Further K. The compiler must not know how the columns lie, or it keeps a pointer for every four K of each.
    LAP_INLINE void skip(int64_t k) {
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            q[c] += k;
            __asm__ volatile("" : "+r"(q[c]));
        }
        sums += k / 16;
        offsets += k / 32;
        eighths += k / 8;
        __asm__ volatile("" : "+r"(offsets), "+r"(eighths));
    }
};

// 256 K of some panels, a byte per value: four K of the 16 rows are a vector.
template <int kPanels>
struct Bytes {
    alignas(64) uint8_t fours[kActivationGroup / 4][kPanels][64];
};

// exact[column][panel] += four K of the weights and those at `from` in the block of activations.
template <int kPanels, int kColumns>
LAP_INLINE void multiply_four(const __m512i* weights, const Inputs<kColumns>& in, int from, __m512i* exact) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m512i x = broadcast(in.q[c] + from);
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p)
            exact[c * kPanels + p] = _mm512_dpbusd_epi32(exact[c * kPanels + p], weights[p], x);
        // Keeps this order: two steps of a sum in a row would wait for each other.
        __asm__ volatile("" : "+v"(exact[c * kPanels]), "+v"(exact[c * kPanels + kPanels - 1]));
    }
}

// exact += 8 K, the `eight`th of the slice, `from` in the block of activations. Unpack takes two fours out of a panel;
// the first of several tiles leaves them in bytes, for the later ones.
template <Turn kTurn, int kPanels, int kColumns, class Unpack>
LAP_INLINE void multiply_eight(Panels panels, Bytes<kPanels>& bytes, int64_t eight, const Inputs<kColumns>& in, int from,
                               const Unpack& unpack, __m512i* exact) {
    __m512i even[kPanels], odd[kPanels];
    LAP_UNROLL
    for (int p = 0; p < kPanels; ++p) {
        if constexpr (kTurn == Turn::later) {
            even[p] = load(bytes.fours[2 * eight][p]);
            odd[p] = load(bytes.fours[2 * eight + 1][p]);
        } else {
            unpack(panels.at + p * panels.stride, even[p], odd[p]);
        }
        if constexpr (kTurn == Turn::first) {
            _mm512_store_si512(bytes.fours[2 * eight][p], even[p]);
            _mm512_store_si512(bytes.fours[2 * eight + 1][p], odd[p]);
        }
    }
    multiply_four<kPanels, kColumns>(even, in, from, exact);
    multiply_four<kPanels, kColumns>(odd, in, from + 4, exact);
}

// 8 K in nibbles.
LAP_INLINE void unpack_nibbles(const uint8_t* at, __m512i& even, __m512i& odd) {
    const __m512i low = _mm512_set1_epi8(15), bytes = load(at);
    even = _mm512_and_si512(bytes, low);
    odd = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
}

// A Kernel of a quantised format. Group has what a Kernel has, but instead of add group<kTurn, kPanels, kWidth>(tile, kept,
// inputs, sums): the sums of a group of 256 K, without the activation scales.
template <class Group>
struct Quantised : Group {
    template <Turn kTurn, int kPanels, int kWidth>
    LAP_INLINE static void add(const PanelMatmulArgs& a, const Tile& tile, typename Group::template Kept<kPanels>& kept,
                               __m512* totals) {
        const int64_t groups = a.x.k >> 8;  // of kActivationGroup
        const float* scales = a.x.scales + tile.column * groups + (tile.k >> 8);
        __m512 sums[kPanels * kWidth];
        Group::template group<kTurn, kPanels, kWidth>(tile, kept, Inputs<kWidth>(a.x, tile.column, tile.k), sums);
        LAP_UNROLL
        for (int i = 0; i < kPanels * kWidth; ++i)
            totals[i] = _mm512_fmadd_ps(_mm512_set1_ps(scales[i / kPanels * groups]), sums[i], totals[i]);
    }
};

}  // namespace
}  // namespace lapidary::kernels::avx512
