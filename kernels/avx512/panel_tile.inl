// What the AVX-512 panel kernels share: how panels, columns and K are cut into register tiles and slices of 256 K, and who
// fetches what comes later. Included once by each panel_<format>.cpp, hence the unnamed namespace. A Kernel has
//   kFormat, kTile
//   kSteps     in which the tiles of a slice fetch a later one
//   kKeepFrom  from so many tiles on the first unpacks the weights of a slice for all
//   Kept<kPanels>, where it leaves them
//   add<kTurn, kPanels, kWidth>(args, tile, kept, totals), which does a slice of a tile of kWidth columns
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_tiles.h"

#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#define LAP_NO_UNROLL _Pragma("nounroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 32")
#define LAP_NO_UNROLL _Pragma("GCC unroll 1")
#endif

namespace lapidary::kernels::avx512 {
namespace {

constexpr int64_t kAhead = 2;      // slices between the fetching of a panel and its use
constexpr int64_t kTogether = 24;  // columns at most whose tiles take turns

// Panels side by side at some K: the next begins `stride` bytes further. What is to be fetched meanwhile lies `ahead`.
struct Panels {
    const uint8_t* at;
    int64_t stride;
    int64_t ahead;

    LAP_INLINE const char* line(int p, int64_t i) const {
        return reinterpret_cast<const char*>(at + p * stride + ahead + i * 64);
    }
};

LAP_INLINE __m512i load(const void* at) { return _mm512_loadu_si512(at); }
LAP_INLINE __m512 load_half(const uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}
LAP_INLINE __m512i broadcast(const void* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
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

// The part of a register tile: the only one of its slice, or one of several that take turns there. Of these each unpacks
// the weights for itself, or the first for all.
enum class Turn { only, each, first, later };

// What a register tile works on.
struct Tile {
    Panels panels;             // at its slice
    int64_t column, k, count;  // K [k, k + count), count up to kActivationGroup
    int64_t lines;             // of each panel that it fetches in a step, where tiles take turns
};

// A tile that is alone fetches what lies ahead of the lines that it loads.
template <Turn kTurn, int kPanels, int kLines>
LAP_INLINE void fetch_alone(const Panels& loaded) {
    if constexpr (kTurn == Turn::only) {
        LAP_UNROLL
        for (int i = 0; i < kLines * kPanels; ++i) _mm_prefetch(loaded.line(i % kPanels, i / kPanels), _MM_HINT_T0);
    }
}

// One among others fetches its part of a later slice, evenly in steps, and only into the second level: the first is for
// what the tiles share.
template <Turn kTurn, int kPanels>
LAP_INLINE void fetch_part(const Tile& tile, int64_t step) {
    if constexpr (kTurn != Turn::only) {
        LAP_NO_UNROLL
        for (int64_t i = step * tile.lines; i < (step + 1) * tile.lines; ++i) {
            LAP_UNROLL
            for (int p = 0; p < kPanels; ++p) _mm_prefetch(tile.panels.line(p, i), _MM_HINT_T1);
        }
    }
}

template <class Kernel, Turn kTurn, int kPanels, int kWidth>
__attribute__((noinline)) void add_tile(const PanelMatmulArgs& a, const Tile& tile,
                                        typename Kernel::template Kept<kPanels>& kept, __m512* totals) {
    Kernel::template add<kTurn, kPanels, kWidth>(a, tile, kept, totals);
}

// Calls visit(tile) for every slice of kPanels panels from `panel` on.
template <class Kernel, int kPanels, class Visit>
LAP_INLINE void walk(const PanelMatmulArgs& a, int64_t panel, int64_t column, const Visit& visit) {
    constexpr int64_t kBytes = panel_group_bytes(Kernel::kFormat);
    const int64_t stride = panel_bytes(Kernel::kFormat, a.x.k);
    const uint8_t* begin = static_cast<const uint8_t*>(a.panels) + panel * stride;
    int64_t ahead = kAhead * kBytes;
    const uint8_t* at = begin;
    for (int64_t k = 0; k < a.x.k; k += kActivationGroup, at += kBytes) {
        // Past their end lie the panels that follow.
        if (at + ahead >= begin + stride && ahead < stride) ahead += (kPanels - 1) * stride;
        const int64_t count = a.x.k - k < kActivationGroup ? a.x.k - k : kActivationGroup;
        visit(Tile{{at, stride, ahead}, column, k, count, 0});
    }
}

// All K of a register tile. A function of its own like add_tile, so that each width has all registers.
template <class Kernel, int kPanels, int kWidth>
__attribute__((noinline)) void multiply_alone(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
    __m512 totals[kPanels * kWidth];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kWidth; ++i) totals[i] = _mm512_setzero_ps();
    typename Kernel::template Kept<kPanels> kept;
    walk<Kernel, kPanels>(a, panel, column, [&](const Tile& tile) {
        Kernel::template add<Turn::only, kPanels, kWidth>(a, tile, kept, totals);
    });
    store_tile<kPanels, kWidth>(a, panel, column, totals);
}

// Several register tiles take turns at every slice and each fetches its part of a later one, so that memory delivers while
// all of them multiply; one tile after the other over all K would leave memory idle after the first.
template <class Kernel, int kPanels, Turn kFirst, Turn kLater>
void multiply_together(const PanelMatmulArgs& a, int64_t panel) {
    __m512 totals[kPanels * kTogether];
    for (int64_t i = 0; i < kPanels * a.x.columns; ++i) totals[i] = _mm512_setzero_ps();
    typename Kernel::template Kept<kPanels> kept;
    constexpr int kMost = Kernel::kTile.columns;
    const int64_t steps = tiles_of(a.x.columns, kMost) * Kernel::kSteps;
    const int64_t lines = (panel_group_bytes(Kernel::kFormat) / 64 + steps - 1) / steps;
    walk<Kernel, kPanels>(a, panel, 0, [&](Tile tile) {
        tile.lines = lines;
        __m512* sums = totals;
        const auto add_next = [&](auto turn) {
            const int64_t width = tile_width(a.x.columns - tile.column, kMost);
            with_constant<kMost / 2, kMost>(width, [&](auto columns) {
                add_tile<Kernel, decltype(turn)::value, kPanels, columns.value>(a, tile, kept, sums);
            });
            tile.column += width;
            sums += width * kPanels;
            tile.panels.ahead += lines * Kernel::kSteps * 64;
        };
        add_next(Constant<kFirst>());
        while (tile.column < a.x.columns) add_next(Constant<kLater>());
    });
    for (int64_t c = 0; c < a.x.columns; ++c) store_tile<kPanels, 1>(a, panel, c, totals + c * kPanels);
}

// Two panels at a time, so that a broadcast activation serves twice. From so many columns on that arithmetic is the limit,
// panels stay in the second-level cache while all columns pass by.
template <class Kernel>
void multiply_panels(const PanelMatmulArgs& a) {
    constexpr TileShape kTile = Kernel::kTile;
    for_panels(a, panels_of_tile(Kernel::kFormat, a.x.k), [&](int64_t begin, int64_t end) {
        if (a.x.columns <= kTile.columns || a.x.columns > kTogether)
            return for_tiles<kTile>(a, begin, end, [&](auto panels, auto columns, int64_t panel, int64_t column) {
                multiply_alone<Kernel, panels.value, columns.value>(a, panel, column);
            });
        side_by_side<2>(begin, end, [&](auto panels, int64_t panel) {
            if (tiles_of(a.x.columns, kTile.columns) < Kernel::kKeepFrom)
                multiply_together<Kernel, panels.value, Turn::each, Turn::each>(a, panel);
            else if constexpr (Kernel::kKeepFrom <= kTogether)
                multiply_together<Kernel, panels.value, Turn::first, Turn::later>(a, panel);
        });
    });
}

}  // namespace
}  // namespace lapidary::kernels::avx512
