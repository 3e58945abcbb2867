// Product of bf16 and f16 panels and f32 activations with NEON; also for neon_dot and neon_i8mm. A lane owns
// a row, one fused multiply-add per value, K ascending. Called through the table (kernels.inc).
#include "kernels/neon/prelude.h"

namespace lapidary::kernels::neon {
namespace {

constexpr int kQuads = kPanel / 4;

// Four rows at two K.
struct Bf16 {
    static constexpr Format kFormat = Format::bf16;
    static constexpr TileShape kTile = kTile_panel_matmul_bf16;
    LAP_INLINE static void pair(const uint8_t* at, int quad, float32x4_t& even, float32x4_t& odd) {
        const uint32x4_t both = vreinterpretq_u32_u8(vld1q_u8(at + 16 * quad));
        even = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
        odd = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000)));
    }
};
struct F16 {
    static constexpr Format kFormat = Format::f16;
    static constexpr TileShape kTile = kTile_panel_matmul_f16;
    LAP_INLINE static void pair(const uint8_t* at, int quad, float32x4_t& even, float32x4_t& odd) {
        even = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at + 8 * quad)));
        odd = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at + 32 + 8 * quad)));
    }
};

// totals[quad][column] += weights at K = kLane and kLane + 1 of the four K in x.
template <class Pairs, int kColumns, int kLane>
LAP_INLINE void add_pair(const uint8_t* at, const float32x4_t* x, float32x4_t* totals) {
    LAP_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
        float32x4_t even, odd;
        Pairs::pair(at, quad, even, odd);
        float32x4_t* sums = totals + quad * kColumns;
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) sums[c] = vfmaq_laneq_f32(sums[c], even, x[c], kLane);
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) sums[c] = vfmaq_laneq_f32(sums[c], odd, x[c], kLane + 1);
    }
}

// The rows of the panel that exist.
template <int kColumns>
LAP_INLINE void store(const PanelMatmulArgs& a, int64_t panel, int64_t column, const float32x4_t* totals) {
    LAP_UNROLL
    for (int64_t c = 0; c < kColumns; ++c) {
        float lanes[kPanel];
        LAP_UNROLL
        for (int64_t quad = 0; quad < kQuads; ++quad)
            vst1q_f32(lanes + 4 * quad, totals[quad * kColumns + c]);
        const int64_t first = panel * kPanel, rows = a.rows - first < kPanel ? a.rows - first : kPanel;
        float* y = a.y + (column + c) * a.y_stride + first;
        __builtin_memcpy(y, lanes, static_cast<size_t>(rows) * sizeof(float));
    }
}

template <class Pairs, int kColumns>
void multiply_panel(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
    const uint8_t* at = static_cast<const uint8_t*>(a.panels) + panel * panel_bytes(Pairs::kFormat, a.x.k);
    const float* x = a.x.x + column * a.x.x_stride;
    float32x4_t totals[kQuads * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kQuads * kColumns; ++i) totals[i] = vdupq_n_f32(0);
    for (int64_t k = 0; k < a.x.k; k += 4, x += 4, at += 2 * kPanelWordBytes) {
        float32x4_t four[kColumns];
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) four[c] = vld1q_f32(x + c * a.x.x_stride);
        add_pair<Pairs, kColumns, 0>(at, four, totals);
        add_pair<Pairs, kColumns, 2>(at + kPanelWordBytes, four, totals);
    }
    store<kColumns>(a, panel, column, totals);
}

template <class Pairs>
void multiply(const PanelMatmulArgs& a) {
    for_panels(a, panels_of_tile(Pairs::kFormat, a.x.k), [&](int64_t begin, int64_t end) {
        for_tiles<Pairs::kTile>(a, begin, end, [&](auto, auto columns, int64_t panel, int64_t column) {
            multiply_panel<Pairs, columns.value>(a, panel, column);
        });
    });
}

}  // namespace

void panel_matmul_bf16(const PanelMatmulArgs& a) { multiply<Bf16>(a); }
void panel_matmul_f16(const PanelMatmulArgs& a) { multiply<F16>(a); }

}  // namespace lapidary::kernels::neon
