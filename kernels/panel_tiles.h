// How the hand-written panel kernels cut a product into register tiles, the same for all levels; what a tile does is in their
// folders. Static: kernels/README.md, "One definition".
#pragma once

#include "kernels/panel_units.h"

#define LAP_INLINE __attribute__((always_inline)) inline

namespace lapidary::kernels {

template <auto kValue>
struct Constant {
    static constexpr auto value = kValue;
};

// Calls visit with `value`, kLeast to kMost, as a constant.
template <int kLeast, int kMost, class Visit>
static LAP_INLINE void with_constant(int64_t value, const Visit& visit) {
    if constexpr (kLeast < kMost) {
        if (value < kMost) return with_constant<kLeast, kMost - 1>(value, visit);
    }
    visit(Constant<kMost>());
}

// The width of the next tile where `left` columns are left: as few tiles as hold them, nearly equal.
static constexpr int64_t tiles_of(int64_t left, int64_t most) { return (left + most - 1) / most; }
static constexpr int64_t tile_width(int64_t left, int64_t most) { return (left + tiles_of(left, most) - 1) / tiles_of(left, most); }

// Calls visit(begin, end) for the panels of the product in turn, as many as stay in the second-level cache while all
// columns pass by.
template <class Visit>
static LAP_INLINE void for_panels(const PanelMatmulArgs& a, int64_t step, const Visit& visit) {
    for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += step)
        visit(begin, begin + step < a.panel_end ? begin + step : a.panel_end);
}

// Calls visit(panels side by side as a constant, first panel): kPanels, and what is left one by one.
template <int kPanels, class Visit>
static LAP_INLINE void side_by_side(int64_t begin, int64_t end, const Visit& visit) {
    for (; begin + kPanels <= end; begin += kPanels) visit(Constant<kPanels>(), begin);
    for (; kPanels > 1 && begin < end; ++begin) visit(Constant<1>(), begin);
}

// Calls visit(panels, columns, first panel, first column) for every register tile of some panels: both constants.
template <TileShape kTile, class Visit>
static LAP_INLINE void for_tiles(const PanelMatmulArgs& a, int64_t begin, int64_t end, const Visit& visit) {
    for (int64_t column = 0; column < a.x.columns;) {
        const int64_t width = tile_width(a.x.columns - column, kTile.columns);
        with_constant<1, kTile.columns>(width, [&](auto columns) {
            side_by_side<(columns.value <= kTile.paired ? 2 : 1)>(
                begin, end, [&](auto panels, int64_t panel) { visit(panels, columns, panel, column); });
        });
        column += width;
    }
}

}  // namespace lapidary::kernels
