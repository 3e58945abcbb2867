// Products of q4_0, q8_0, q4_k and q6_k panels and int8 activations with NEON with matrix products (usmmla),
// one column with sdot. The sources are shared by three levels (kernels/neon/panel_cells.inl). Called through
// the table (kernels.inc).
#include "kernels/neon/prelude.h"

namespace lapidary::kernels::neon_i8mm {
#include "kernels/neon/panel_cells.inl"
#include "kernels/neon/panel_dot.inl"
#include "kernels/neon/panel_formats.inl"
#include "kernels/neon/panel_matrix.inl"

namespace {

template <class Group, TileShape kTile>
void multiply(const PanelMatmulArgs& a) {
    a.x.columns == 1 ? multiply_panels<Dot, Group, 1>(a) : multiply_panels<Matrix, Group, kTile.columns>(a);
}

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) { multiply<BlockGroup<Q4_0>, kTile_panel_matmul_q4_0>(a); }
void panel_matmul_q8_0(const PanelMatmulArgs& a) { multiply<BlockGroup<Q8_0>, kTile_panel_matmul_q8_0>(a); }
void panel_matmul_q4_k(const PanelMatmulArgs& a) { multiply<Q4K, kTile_panel_matmul_q4_k>(a); }
void panel_matmul_q6_k(const PanelMatmulArgs& a) { multiply<Q6K, kTile_panel_matmul_q6_k>(a); }

}  // namespace lapidary::kernels::neon_i8mm
