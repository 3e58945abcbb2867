// One to eight columns of f32 times rows of weights in their source blocks. Some threads share a row: each takes every so
// manieth K, then they are summed in their order. So the bits of a row do not depend on the number of columns.
#version 460
#include "common/types.glsl"
#include "common/block_values.glsl"

layout(constant_id = 1) const uint COLUMNS = 1;
layout(constant_id = 2) const uint ROWS = 4;  // of a workgroup; divides its size

layout(push_constant) uniform Push {
    uvec2 weights;
    InFloats x;
    InFloats bias;
    Floats result;
    uint k, row_bytes, rows, x_stride, result_stride, has_bias;
};

shared float lanes[COLUMNS * gl_WorkGroupSize.x];

void main() {
    const uint width = gl_WorkGroupSize.x / ROWS, lane = gl_LocalInvocationIndex % width;
    const uint row = gl_WorkGroupID.x * ROWS + gl_LocalInvocationIndex / width;
    const uvec2 address = advance(weights, min(row, rows - 1), row_bytes);
    const uint odd = address.x & 3;  // words begin at multiples of four bytes, rows at even ones
    InWords words = InWords(uvec2(address.x - odd, address.y));
    precise float sums[COLUMNS];
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) sums[c] = 0;
    for (uint i = lane; i < k; i += width) {
        const float w = value_at(words, odd, i);
        [[unroll]] for (uint c = 0; c < COLUMNS; ++c) sums[c] = fma(w, x.at[c * x_stride + i], sums[c]);
    }
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) lanes[c * gl_WorkGroupSize.x + gl_LocalInvocationIndex] = sums[c];
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < ROWS * COLUMNS; i += gl_WorkGroupSize.x) {
        const uint to = gl_WorkGroupID.x * ROWS + i % ROWS, c = i / ROWS;
        if (to >= rows) continue;
        const uint first = c * gl_WorkGroupSize.x + i % ROWS * width;
        precise float sum = 0;
        for (uint j = first; j < first + width; ++j) sum += lanes[j];
        result.at[c * result_stride + to] = has_bias != 0 ? sum + bias.at[to] : sum;
    }
}
