// Reference: rearranging q4_0 rows into panels, int8 activations for them, and their product.
// The formulas are in kernels/panels.h; the bits of the product are what every other level must give.
#include <cmath>

#include "kernels/blocks.h"
#include "kernels/declare.h"
#include "kernels/half.h"
#include "kernels/panel_units.h"

namespace lapidary::kernels::ref {
namespace {

constexpr uint32_t kLowNibbles = 0x0f0f0f0f;

uint32_t load_u32(const uint8_t* bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

// Four K of one row, each with the value four further in its high nibble.
void put_group(uint8_t* group, int64_t row, uint32_t first, uint32_t second) {
    const uint32_t word = first | second << 4;
    memcpy(group + 4 * row, &word, sizeof word);
}

// One row of one block: values 0..15 are the low nibbles of qs, 16..31 the high ones.
void pack_block(const BlockQ4_0& block, int64_t row, uint8_t* scales, uint8_t* nibbles) {
    memcpy(scales + 2 * row, block.d, sizeof block.d);
    for (int64_t half = 0; half < 2; ++half) {
        const uint32_t first = load_u32(block.qs + 8 * half), second = load_u32(block.qs + 8 * half + 4);
        put_group(nibbles + half * kPanelGroupBytes, row, first & kLowNibbles, second & kLowNibbles);
        put_group(nibbles + (2 + half) * kPanelGroupBytes, row, first >> 4 & kLowNibbles,
                  second >> 4 & kLowNibbles);
    }
}

// max |x|, or NaN if there is one: without the sign, the bits of floats order as the values do, NaN last.
float largest_magnitude(const float* x, int64_t n) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < n; ++i) {
        const uint32_t bits = float_bits(x[i]) & 0x7fffffff;
        if (bits > largest) largest = bits;
    }
    return bits_float(largest);
}

// sum over the 32 K of a block of (nibble - 8) q, for one row.
int32_t block_sum(const uint8_t* nibbles, int64_t row, const int8_t* q) {
    int32_t sum = 0;
    for (int64_t k = 0; k < 32; ++k) {
        const uint8_t byte = nibbles[k / 8 * kPanelGroupBytes + 4 * row + k % 4];
        sum += ((k % 8 < 4 ? byte & 15 : byte >> 4) - 8) * q[k];
    }
    return sum;
}

float dot(const uint8_t* panel, int64_t row, const PanelInput& x, int64_t column) {
    float total = 0;
    for (int64_t group = 0; group < x.k / kActivationGroup; ++group) {
        float sum = 0;
        for (int64_t b = group * kGroupBlocks; b < (group + 1) * kGroupBlocks; ++b) {
            const float d = half_to_float(load_u16(panel + panel_scales_offset(b) + 2 * row));
            const int32_t exact =
                block_sum(panel + panel_nibbles_offset(b), row, x.q + (b * x.columns + column) * 32);
            sum = std::fmaf(d, static_cast<float>(exact), sum);
        }
        total = std::fmaf(x.scales[group * x.columns + column], sum, total);
    }
    return total;
}

}  // namespace

void pack_panel_q4_0(const void* weights, int64_t row_stride_bytes, int64_t k, int64_t rows, void* panel) {
    static constexpr BlockQ4_0 kNoRow = {
        {0, 0},
        {0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88}};
    const auto* source = static_cast<const uint8_t*>(weights);
    auto* unit = static_cast<uint8_t*>(panel);
    for (int64_t b = 0; b < k / 32; ++b) {
        uint8_t* scales = unit + panel_scales_offset(b);
        uint8_t* nibbles = unit + panel_nibbles_offset(b);
        for (int64_t row = 0; row < kPanel; ++row) {
            const uint8_t* at = source + row * row_stride_bytes + b * block_bytes(Format::q4_0);
            pack_block(row < rows ? *reinterpret_cast<const BlockQ4_0*>(at) : kNoRow, row, scales, nibbles);
        }
    }
}

// A group without usable scale keeps q = 0, as in quantize: scale 0 when it is (almost) zero, and its
// infinite or NaN scale otherwise, so that bad values stay visible as NaN in the product.
void quantize_panel(const float* x, int64_t column, const PanelInput& out) {
    for (int64_t group = 0; group < out.k / kActivationGroup; ++group) {
        const float* values = x + group * kActivationGroup;
        const float scale = largest_magnitude(values, kActivationGroup) / 127.0f;
        const bool usable = scale >= kSmallestPanelScale && scale < INFINITY;
        out.scales[group * out.columns + column] = scale < kSmallestPanelScale ? 0.0f : scale;
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            const int64_t at = (group * kGroupBlocks + b) * out.columns + column;
            int32_t sum = 0;
            for (int64_t i = 0; i < 32; ++i) {
                const auto q =
                    usable ? static_cast<int8_t>(std::nearbyint(values[b * 32 + i] / scale)) : int8_t{0};
                out.q[at * 32 + i] = q;
                sum += q;
            }
            out.sums[at] = sum;
        }
    }
}

void panel_matmul_q4_0(const PanelMatmulArgs& a) {
    const int64_t bytes = panel_bytes(Format::q4_0, a.x.k);
    for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
        const uint8_t* base = static_cast<const uint8_t*>(a.panels) + panel * bytes;
        const int64_t first = panel * kPanel, rows = a.rows - first < kPanel ? a.rows - first : kPanel;
        for (int64_t column = 0; column < a.x.columns; ++column) {
            float* y = a.y + column * a.y_stride + first;
            for (int64_t row = 0; row < rows; ++row) y[row] = dot(base, row, a.x, column);
        }
    }
}

}  // namespace lapidary::kernels::ref
