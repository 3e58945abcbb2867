// One to eight columns times panels. A thread takes four rows and every so manieth block of K; threads of one quad of rows
// are then summed in their order. So the bits of a row depend on the workgroup's size, and not on the number of columns,
// the part or the place of its panel.
// With DOT the input is the int8 image, else f32 rows. MATRICES 2: weights[0] gates weights[1]; with IMAGE the result's own
// int8 image is left at results[1], each group of 256 rows by the last workgroup that adds to it, counted at results[2].
#version 460
#include "common/types.glsl"
#include "common/panel_blocks.glsl"
#include "common/gelu.glsl"
#ifdef DOT
#include "common/quantize.glsl"
#endif

layout(constant_id = 1) const uint COLUMNS = 1;
layout(constant_id = 2) const uint PANELS = 1;    // of a matrix, by one workgroup
layout(constant_id = 3) const uint MATRICES = 1;
layout(constant_id = 4) const bool IMAGE = false;  // the rows are then a multiple of 256, the threads one of 64
const uint SLOTS = PANELS * MATRICES;

layout(push_constant) uniform Push {
    uvec2 x;
    uvec2 weights[4];  // of several matrices against one input, or the two of a gated one
    uvec2 results[4];
    uint k, stride, panel_bytes;  // stride: of rows of f32
    uint ends[3];                 // the workgroup behind the last of parts 0 to 2
    uint rows[4], strides[4];     // of the results
};

shared float lanes[SLOTS * gl_WorkGroupSize.x * 4];

// What a block adds to a column's sums of four rows.
void add_block(Block b, uint c, uint block, inout vec4 sum) {
#ifdef DOT
    InWords4 values = InWords4(advance(x, c * k + 32 * block));
    const float scale = InFloats(advance(x, COLUMNS * k + c * (k / 64) + block / 8 * 4)).at[0];
    precise const vec4 next = fma(vec4(scale), block_dots(b, values.at[0], values.at[1]), sum);
    sum = next;
#else
    const uint values = UNIT / 8;
    InFloats column = InFloats(advance(x, 4 * (c * stride + block * UNIT)));
    [[unroll]] for (uint i = 0; i < 8; ++i) {
        vec4 f[UNIT / 8];
#ifdef Q6_K
        floats_of(b.w[i], i < 4 ? b.a : b.b, b.b, f);
#else
        floats_of(b.w[i], b.a, b.b, f);
#endif
        [[unroll]] for (uint j = 0; j < values; ++j) {
            precise const vec4 next = fma(f[j], vec4(column.at[i * values + j]), sum);
            sum = next;
        }
    }
#endif
}

float sum_of_lanes(uint slot, uint row) {
    precise float sum = 0;
    for (uint at = slot * gl_WorkGroupSize.x * 4 + row; at < (slot + 1) * gl_WorkGroupSize.x * 4; at += 16) sum += lanes[at];
    return sum;
}

#ifdef DOT
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer SharedFloats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer Counters { uint at[]; };
shared uint arrived;

// Whoever finds all others gone before turns the group of 256 rows to int8. Nobody waits for anybody.
void leave_image(uint first_row) {
    const uint l = gl_LocalInvocationIndex, group = first_row / 256;
    memoryBarrierBuffer();
    barrier();
    if (l == 0) arrived = atomicAdd(Counters(results[2]).at[group], 1);
    barrier();
    if (arrived + 1 != 16 / PANELS) return;
    if (l == 0) Counters(results[2]).at[group] = 0;
    memoryBarrierBuffer();
    for (uint begin = 0; begin < COLUMNS; begin += gl_WorkGroupSize.x / 64) {
        const uint c = begin + l / 64, row = group * 256 + 4 * (l % 64);
        vec4 four = vec4(0);
        if (c < COLUMNS)
            [[unroll]] for (uint i = 0; i < 4; ++i) four[i] = SharedFloats(results[0]).at[c * strides[0] + row + i];
        float scale;
        const uint q = quantize_four(four, scale);
        if (c < COLUMNS) store_quantized(Words(results[1]), q, scale, c, group, rows[0], COLUMNS);
    }
}
#endif

vec4 sums[SLOTS * COLUMNS];

// Sums column c over the threads, and stores its rows of the part from `first` on.
void store_column(uint c, uint part, uint first) {
    const uint l = gl_LocalInvocationIndex;
    barrier();
    [[unroll]] for (uint s = 0; s < SLOTS; ++s)
        [[unroll]] for (uint i = 0; i < 4; ++i) lanes[(s * gl_WorkGroupSize.x + l) * 4 + i] = sums[s * COLUMNS + c][i];
    barrier();
    for (uint i = l; i < 16 * PANELS; i += gl_WorkGroupSize.x) {
        if (first + i >= rows[part]) break;
        const uint slot = i / 16 * MATRICES;
        float value = sum_of_lanes(slot, i % 16);
        if (MATRICES == 2) value = geglu(value, sum_of_lanes(slot + 1, i % 16));
#ifdef DOT
        if (IMAGE) SharedFloats(results[0]).at[c * strides[0] + first + i] = value;
        else
#endif
        Floats(results[part]).at[c * strides[part] + first + i] = value;
    }
}

void main() {
    const uint l = gl_LocalInvocationIndex, quad = l % 4, group = gl_WorkGroupID.x;
    uint part = 0, first = 0;
    [[unroll]] for (uint i = 0; i < 3; ++i)
        if (group >= ends[i]) {
            part = i + 1;
            first = ends[i];
        }
    first = (group - first) * PANELS;

    uvec2 panel[SLOTS];
    const uint last = (rows[part] - 1) / 16;  // a panel beyond it is multiplied as this one, and not stored
    [[unroll]] for (uint s = 0; s < SLOTS; ++s) {
        const uint matrix = MATRICES == 2 ? s % 2 : part;
        panel[s] = advance(weights[matrix], min(first + s / MATRICES, last), panel_bytes);
        [[unroll]] for (uint c = 0; c < COLUMNS; ++c) sums[s * COLUMNS + c] = vec4(0);
    }
    for (uint block = l / 4; block < k / UNIT; block += gl_WorkGroupSize.x / 4) {
        [[unroll]] for (uint s = 0; s < SLOTS; ++s) {
            Block b;
            load_block(panel[s], block, quad, b);
            [[unroll]] for (uint c = 0; c < COLUMNS; ++c) add_block(b, c, block, sums[s * COLUMNS + c]);
        }
    }
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) store_column(c, part, 16 * first);
#ifdef DOT
    if (IMAGE) leave_image(16 * first);
#endif
}
