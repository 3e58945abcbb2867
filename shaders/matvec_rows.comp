// One to eight columns times rows of weights in their source blocks; with DOT the columns are the int8 image, else f32. Some
// threads share a row: each takes every so manieth K, or 16 of them, then they are summed in their order. So the bits of a
// row do not depend on the number of columns.
#version 460
#include "common/types.glsl"
#include "common/block_values.glsl"
#if defined(F32) || defined(F16) || defined(BF16)
#define PLAIN
#else
#include "common/row_groups.glsl"
#endif
#ifdef DOT
#include "common/dot.glsl"
#endif

layout(constant_id = 1) const uint COLUMNS = 1;
layout(constant_id = 2) const uint ROWS = 4;  // of a workgroup; divides its size

layout(push_constant) uniform Push {
    uvec2 weights;
    uvec2 x;
    InFloats bias;
    Floats result;
    uint k, row_bytes, rows, x_stride, result_stride, has_bias;
};

shared float lanes[COLUMNS * gl_WorkGroupSize.x];

// What K number i, or the i-th 16 of them, add to a column's sum.
#ifdef PLAIN
void add(float w, uint c, uint i, inout float sum) {
    precise const float next = fma(w, InFloats(x).at[c * x_stride + i], sum);
    sum = next;
}
#elif defined(DOT)
void add(uvec4 q, float a, float b, uint c, uint i, inout float sum) {
    const uvec4 four = InWords4(advance(x, c * k + 16 * i)).at[0];
    const float scale = InFloats(advance(x, COLUMNS * k + c * (k / 64) + i / 16 * 4)).at[0];
    int exact = 0, values = 0;
    [[unroll]] for (uint j = 0; j < 4; ++j) {
        exact += dot4(int(q[j]), int(four[j]));
        values += dot4(0x01010101, int(four[j]));
    }
    precise const float next = fma(scale, fma(b, float(values), a * float(exact)), sum);
    sum = next;
}
#else
void add(uvec4 q, float a, float b, uint c, uint i, inout float sum) {
    InFloats values = InFloats(advance(x, 4 * (c * x_stride + 16 * i)));
    [[unroll]] for (uint j = 0; j < 4; ++j) {
        const vec4 w = group_values(q, j, a, b);
        [[unroll]] for (uint n = 0; n < 4; ++n) {
            precise const float next = fma(w[n], values.at[4 * j + n], sum);
            sum = next;
        }
    }
}
#endif

void main() {
    const uint width = gl_WorkGroupSize.x / ROWS, lane = gl_LocalInvocationIndex % width;
    const uint row = gl_WorkGroupID.x * ROWS + gl_LocalInvocationIndex / width;
    const uvec2 address = advance(weights, min(row, rows - 1), row_bytes);
    const uint odd = address.x & 3;  // words begin at multiples of four bytes, rows at even ones
    InWords words = InWords(uvec2(address.x - odd, address.y));
    float sums[COLUMNS];
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) sums[c] = 0;
#ifdef PLAIN
    for (uint i = lane; i < k; i += width) {
        const float w = value_at(words, odd, i);
        [[unroll]] for (uint c = 0; c < COLUMNS; ++c) add(w, c, i, sums[c]);
    }
#else
    for (uint i = lane; i < k / 16; i += width) {
        uvec4 q;
        float a, b;
        load_row_group(words, odd, i, q, a, b);
        [[unroll]] for (uint c = 0; c < COLUMNS; ++c) add(q, a, b, c, i, sums[c]);
    }
#endif
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) lanes[c * gl_WorkGroupSize.x + gl_LocalInvocationIndex] = sums[c];
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < ROWS * COLUMNS; i += gl_WorkGroupSize.x) {
        const uint to = gl_WorkGroupID.x * ROWS + i % ROWS, c = i / ROWS;
        if (to >= rows) continue;
        const uint first = c * gl_WorkGroupSize.x + i % ROWS * width;
        precise float sum = 0;
        for (uint j = first; j < first + width; ++j) sum += lanes[j];
        Floats(result).at[c * result_stride + to] = has_bias != 0 ? sum + bias.at[to] : sum;
    }
}
