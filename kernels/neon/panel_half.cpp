// Product of bf16 and f16 panels and f32 activations with NEON; also for neon_dot and neon_i8mm. A lane owns
// a row, one fused multiply-add per value, K ascending. Called through the table (kernels.inc).
#include "kernels/neon/prelude.h"

namespace lapidary::kernels::neon {
namespace {

constexpr int kQuads = kPanel / 4;
constexpr int64_t kMostColumns = 5;  // 20 sums and 5 activations fit beside the weights in 32 registers

// Four rows at two K.
struct Bf16 {
    static constexpr Format kFormat = Format::bf16;
    LAP_INLINE static void pair(const uint8_t* at, int quad, float32x4_t& even, float32x4_t& odd) {
        const uint32x4_t both = vreinterpretq_u32_u8(vld1q_u8(at + 16 * quad));
        even = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
        odd = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000)));
    }
};
struct F16 {
    static constexpr Format kFormat = Format::f16;
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
void multiply_columns(const PanelMatmulArgs& a, int64_t begin, int64_t end, int64_t column, int64_t columns) {
    for (; begin < end; ++begin) {
        switch (columns) {
            case 1: multiply_panel<Pairs, 1>(a, begin, column); break;
            case 2: multiply_panel<Pairs, 2>(a, begin, column); break;
            case 3: multiply_panel<Pairs, 3>(a, begin, column); break;
            case 4: multiply_panel<Pairs, 4>(a, begin, column); break;
            default: multiply_panel<Pairs, kMostColumns>(a, begin, column);
        }
    }
}

// The columns are cut evenly; a tile of panels stays in the cache while all of them pass by.
template <class Pairs>
void multiply(const PanelMatmulArgs& a) {
    const int64_t step = panels_of_tile(Pairs::kFormat, a.x.k);
    for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += step) {
        int64_t parts = (a.x.columns + kMostColumns - 1) / kMostColumns;
        for (int64_t column = 0; column < a.x.columns; --parts) {
            const int64_t columns = (a.x.columns - column + parts - 1) / parts;
            multiply_columns<Pairs>(a, begin, begin + step < a.panel_end ? begin + step : a.panel_end, column,
                                    columns);
            column += columns;
        }
    }
}

}  // namespace

void panel_matmul_bf16(const PanelMatmulArgs& a) { multiply<Bf16>(a); }
void panel_matmul_f16(const PanelMatmulArgs& a) { multiply<F16>(a); }

}  // namespace lapidary::kernels::neon
