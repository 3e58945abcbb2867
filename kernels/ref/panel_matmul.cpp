// Reference: the product of panels and activations, one value at a time. The formulas and the order of their
// steps are in kernels/panels.h; their bits are what every other level must give.
#include <cmath>

#include "kernels/declare.h"
#include "kernels/half.h"
#include "kernels/panel_units.h"

namespace lapidary::kernels::ref {
namespace {

// One column of the activations.
struct Column {
    const int8_t* q;
    const float* scales;
    const float* x;
    int64_t k;
};

float half(const uint8_t* at) { return half_to_float(load_u16(at)); }

int nibble(const uint8_t* words, int64_t row, int64_t k) {
    const uint8_t byte = words[k / 8 * kPanelWordBytes + 4 * row + k % 4];
    return k % 8 < 4 ? byte & 15 : byte >> 4;
}

// Sum over a block of 32 K of (weight - offset) q.
int32_t block_q4_0(const uint8_t* values, int64_t row, const int8_t* q) {
    int32_t sum = 0;
    for (int64_t k = 0; k < 32; ++k) sum += (nibble(values, row, k) - 8) * q[k];
    return sum;
}
int32_t block_q8_0(const uint8_t* values, int64_t row, const int8_t* q) {
    int32_t sum = 0;
    for (int64_t k = 0; k < 32; ++k) sum += (values[k / 4 * kPanelWordBytes + 4 * row + k % 4] - 128) * q[k];
    return sum;
}

template <class Block>
float dot_blocks(Format f, Block block, const uint8_t* panel, int64_t row, const Column& c) {
    float total = 0;
    for (int64_t group = 0; group < c.k / kActivationGroup; ++group) {
        float sum = 0;
        for (int64_t b = group * kGroupBlocks; b < (group + 1) * kGroupBlocks; ++b) {
            const int32_t exact = block(panel + panel_block_values(f, b), row, c.q + b * 32);
            sum = std::fmaf(half(panel + panel_block_scales(f, b) + 2 * row), static_cast<float>(exact), sum);
        }
        total = std::fmaf(c.scales[group], sum, total);
    }
    return total;
}

float dot_q4_0(const uint8_t* panel, int64_t row, const Column& c) {
    return dot_blocks(Format::q4_0, block_q4_0, panel, row, c);
}
float dot_q8_0(const uint8_t* panel, int64_t row, const Column& c) {
    return dot_blocks(Format::q8_0, block_q8_0, panel, row, c);
}

// Six-bit scale and minimum of group g of 32 K, as in a q4_k block; the bytes of a row lie 16 apart.
struct ScaleMin {
    int scale, minimum;
};
ScaleMin scale_min_q4_k(const uint8_t* scales, int64_t g) {
    const auto at = [&](int64_t i) { return scales[kPanel * i]; };
    if (g < 4) return {at(g) & 63, at(g + 4) & 63};
    return {(at(g + 4) & 15) | at(g - 4) >> 6 << 4, at(g + 4) >> 4 | at(g) >> 6 << 4};
}

float dot_q4_k(const uint8_t* panel, int64_t row, const Column& c) {
    float total = 0;
    for (int64_t group = 0; group < c.k / kActivationGroup; ++group) {
        const uint8_t* unit = panel + group * panel_group_bytes(Format::q4_k);
        int32_t exact = 0, minima = 0;
        for (int64_t k = 0; k < kActivationGroup; ++k) {
            const ScaleMin s = scale_min_q4_k(unit + kQ4KScales + row, k / 32);
            const int q = c.q[group * kActivationGroup + k];
            exact += s.scale * nibble(unit + kQ4KNibbles, row, k) * q;
            minima += s.minimum * q;
        }
        const float d = half(unit + 2 * row), dmin = half(unit + kPanelScaleBytes + 2 * row);
        const float sum = std::fmaf(-dmin, static_cast<float>(minima), d * static_cast<float>(exact));
        total = std::fmaf(c.scales[group], sum, total);
    }
    return total;
}

float dot_q6_k(const uint8_t* panel, int64_t row, const Column& c) {
    float total = 0;
    for (int64_t group = 0; group < c.k / kActivationGroup; ++group) {
        const uint8_t* unit = panel + group * panel_group_bytes(Format::q6_k);
        int32_t exact = 0;
        for (int64_t k = 0; k < kActivationGroup; ++k) {
            const uint8_t* sub = unit + kQ6KValues + k / 16 * kQ6KSubBlockBytes;
            const int high = sub[kQ6KHighBits + 4 * row + k % 4] >> (2 * (k % 16 / 4)) & 3;
            const auto scale = static_cast<int8_t>(unit[kQ6KScales + k / 32 * 2 * kPanel + 2 * row + k / 16 % 2]);
            exact += scale * (nibble(sub, row, k % 16) + 16 * high - 32) * c.q[group * kActivationGroup + k];
        }
        total = std::fmaf(c.scales[group], half(unit + 2 * row) * static_cast<float>(exact), total);
    }
    return total;
}

float dot_bf16(const uint8_t* panel, int64_t row, const Column& c) {
    float total = 0;
    for (int64_t k = 0; k < c.k; ++k) {
        const uint16_t weight = load_u16(panel + k / 2 * kPanelWordBytes + 4 * row + k % 2 * 2);
        total = std::fmaf(bfloat_to_float(weight), c.x[k], total);
    }
    return total;
}

float dot_f16(const uint8_t* panel, int64_t row, const Column& c) {
    float total = 0;
    for (int64_t k = 0; k < c.k; ++k) total = std::fmaf(half(panel + 2 * (k * kPanel + row)), c.x[k], total);
    return total;
}

template <class Dot>
void multiply(const PanelMatmulArgs& a, Format format, Dot dot) {
    const int64_t bytes = panel_bytes(format, a.x.k);
    for (int64_t row = a.panel_begin * kPanel; row < a.panel_end * kPanel && row < a.rows; ++row) {
        const uint8_t* panel = static_cast<const uint8_t*>(a.panels) + row / kPanel * bytes;
        for (int64_t t = 0; t < a.x.columns; ++t) {
            Column c = {nullptr, nullptr, nullptr, a.x.k};
            if (is_quantised(format)) {
                c.q = a.x.q + t * a.x.q_stride;
                c.scales = a.x.scales + t * (a.x.k / kActivationGroup);
            } else {
                c.x = a.x.x + t * a.x.x_stride;
            }
            a.y[t * a.y_stride + row] = dot(panel, row % kPanel, c);
        }
    }
}

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) { multiply(a, Format::q4_0, dot_q4_0); }
void panel_matmul_q8_0(const PanelMatmulArgs& a) { multiply(a, Format::q8_0, dot_q8_0); }
void panel_matmul_q4_k(const PanelMatmulArgs& a) { multiply(a, Format::q4_k, dot_q4_k); }
void panel_matmul_q6_k(const PanelMatmulArgs& a) { multiply(a, Format::q6_k, dot_q6_k); }
void panel_matmul_bf16(const PanelMatmulArgs& a) { multiply(a, Format::bf16, dot_bf16); }
void panel_matmul_f16(const PanelMatmulArgs& a) { multiply(a, Format::f16, dot_f16); }

}  // namespace lapidary::kernels::ref
