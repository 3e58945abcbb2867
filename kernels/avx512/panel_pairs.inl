// What the AVX-512 kernels of bf16 and f16 panels share, beside panel_tile.inl: two K of the 16 rows are a cache line.
#include "kernels/avx512/panel_tile.inl"

namespace lapidary::kernels::avx512 {
namespace {

constexpr int64_t kHalfSteps = 16;  // of 16 K in a slice
constexpr int64_t kNeverKept = kTogether + 1;

struct Nothing {};

// totals += a slice: visit(panels, x, sums) does it for two K. The sums stay in registers meanwhile.
template <Turn kTurn, int kPanels, int kWidth, class Value, class Visit>
LAP_INLINE void multiply_pairs(const Tile& tile, const Value* x, __m512* totals, const Visit& visit) {
    __m512 sums[kPanels * kWidth];
    LAP_UNROLL
    for (int i = 0; i < kPanels * kWidth; ++i) sums[i] = totals[i];
    Panels panels = tile.panels;
    for (int64_t step = 0; step < tile.count / kHalfSteps; ++step) {
        fetch_part<kTurn, kPanels>(tile, step);
        for (int i = 0; i < 8; ++i, x += 2, panels.at += kPanelWordBytes) {
            fetch_alone<kTurn, kPanels, 1>(panels);
            visit(panels, x, sums);
        }
    }
    LAP_UNROLL
    for (int i = 0; i < kPanels * kWidth; ++i) totals[i] = sums[i];
}

}  // namespace
}  // namespace lapidary::kernels::avx512
