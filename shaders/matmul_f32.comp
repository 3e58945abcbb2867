// Many columns of f32 times weights of any format, turned into tiles in shared memory; f32 sums. With PANELS the weights lie
// in panels, else in rows of their source blocks. Tiles are f32, or with HALF f16: weights are rounded to it, and columns once
// their power of two (row_powers.comp) has brought them into its range.
#version 460
#ifdef HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define FOUR f16vec4
#define VALUE float16_t
#else
#define FOUR vec4
#define VALUE float
#endif
#include "common/types.glsl"
#ifdef PANELS
#include "common/panel_blocks.glsl"
const uint TILE_K = UNIT;
#else
#include "common/block_values.glsl"
#if defined(F32) || defined(F16) || defined(BF16)
#define PLAIN
#else
#include "common/row_groups.glsl"
#endif
const uint TILE_K = 32;
#endif
#include "common/tiles.glsl"

layout(push_constant) uniform Push {
    uvec2 weights;
    InFloats x;
#ifdef HALF
    InFloats powers;
#endif
    InFloats bias;
    Floats result;
    uint k, unit_bytes, rows, columns, x_stride, result_stride, has_bias;  // unit: a panel, or a row
};

shared FOUR tile_w[TILE_K * ROW_FOURS];
shared FOUR tile_x[TILE_K * COLUMN_FOURS];
#ifdef HALF
shared float tile_powers[TILE_COLUMNS];
#endif

#ifdef PANELS
void load_weights(uint row0, uint begin) {
    const uint last = (rows - 1) / 16;
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS; i += gl_WorkGroupSize.x) {  // a piece: panel, a quarter of K, quad
        const uint piece = i / 4 % 4, quad = i % 4;
        const uvec2 panel = advance(weights, min(row0 / 16 + i / 16, last), unit_bytes);
        uvec4 w[2];
        vec4 a, b;
        load_piece(panel, begin / UNIT, quad, piece, w[0], w[1]);
        load_scales(panel, begin / UNIT, quad, a, b);
#ifdef Q6_K
        if (piece >= 2) a = b;
#endif
        const uint values = UNIT / 8;
        [[unroll]] for (uint h = 0; h < 2; ++h) {
            vec4 f[UNIT / 8];
            floats_of(w[h], a, b, f);
            [[unroll]] for (uint j = 0; j < values; ++j)
                tile_w[((2 * piece + h) * values + j) * ROW_FOURS + i / 16 * 4 + quad] = FOUR(f[j]);
        }
    }
}
#elif defined(PLAIN)
void load_weights(uint row0, uint begin) {
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * TILE_K; i += gl_WorkGroupSize.x) {
        const uint at = i % TILE_K, row = i / TILE_K;
        float value = 0;
        if (row0 + row < rows && begin + at < k) {
            const uvec2 address = advance(weights, row0 + row, unit_bytes);
            const uint odd = address.x & 3;  // words begin at multiples of four bytes, rows at even ones
            value = value_at(InWords(uvec2(address.x - odd, address.y)), odd, begin + at);
        }
        tile_w[at * ROW_FOURS + row / 4][row % 4] = value;
    }
}
#else
void load_weights(uint row0, uint begin) {
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * 2; i += gl_WorkGroupSize.x) {
        const uint group = i % 2, row = i / 2;
        const uvec2 address = advance(weights, min(row0 + row, rows - 1), unit_bytes);
        const uint odd = address.x & 3;
        uvec4 q;
        float a, b;
        load_row_group(InWords(uvec2(address.x - odd, address.y)), odd, begin / 16 + group, q, a, b);
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            const vec4 four = group_values(q, j, a, b);
            [[unroll]] for (uint n = 0; n < 4; ++n) tile_w[(16 * group + 4 * j + n) * ROW_FOURS + row / 4][row % 4] = four[n];
        }
    }
}
#endif

void load_columns(uint column0, uint begin) {
    for (uint i = gl_LocalInvocationIndex; i < TILE_COLUMNS * TILE_K; i += gl_WorkGroupSize.x) {
        const uint at = i % TILE_K, c = i / TILE_K;
        float value = 0;
        if (column0 + c < columns && begin + at < k) value = x.at[(column0 + c) * x_stride + begin + at];
#ifdef HALF
        value *= tile_powers[c];
#endif
        tile_x[at * COLUMN_FOURS + c / 4][c % 4] = VALUE(value);
    }
}

void main() {
    const uint column0 = gl_WorkGroupID.x * TILE_COLUMNS, row0 = gl_WorkGroupID.y * TILE_ROWS;
    vec4 sums[THREAD_COLUMNS * ROW_QUADS];  // of four rows
    [[unroll]] for (uint i = 0; i < THREAD_COLUMNS * ROW_QUADS; ++i) sums[i] = vec4(0);
#ifdef HALF
    for (uint c = gl_LocalInvocationIndex; c < TILE_COLUMNS; c += gl_WorkGroupSize.x)
        tile_powers[c] = powers.at[min(column0 + c, columns - 1)];
#endif
    for (uint begin = 0; begin < k; begin += TILE_K) {
        barrier();
        load_weights(row0, begin);
        load_columns(column0, begin);
        barrier();
        for (uint i = 0; i < TILE_K; ++i) {
            vec4 w[ROW_QUADS];
            [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) w[r] = vec4(tile_w[i * ROW_FOURS + row_four(r)]);
            [[unroll]] for (uint c = 0; c < COLUMN_QUADS; ++c) {
                const vec4 four = vec4(tile_x[i * COLUMN_FOURS + column_four(c)]);
                [[unroll]] for (uint j = 0; j < 4; ++j)
                    [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) {
                        const uint at = (4 * c + j) * ROW_QUADS + r;
                        sums[at] = fma(w[r], vec4(four[j]), sums[at]);
                    }
            }
        }
    }
    [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) {
        const uint column = column0 + 4 * column_four(c / 4) + c % 4;
        [[unroll]] for (uint i = 0; i < THREAD_ROWS; ++i) {
            const uint row = row0 + 4 * row_four(i / 4) + i % 4;
            if (column >= columns || row >= rows) continue;
            float value = sums[c * ROW_QUADS + i / 4][i % 4];
#ifdef HALF
            value *= uintBitsToFloat((254u << 23) - floatBitsToUint(tile_powers[column - column0]));  // 1 / power
#endif
            result.at[column * result_stride + row] = has_bias != 0 ? value + bias.at[row] : value;
        }
    }
}
