// Many columns of the int8 image times quantised weights, in panels (PANELS) or in rows of their source blocks: packed dot
// products on tiles in shared memory, exact sums over 32 K or, where scales go no further, 16, then f32.
#version 460
#include "common/types.glsl"
#ifdef PANELS
#include "common/panel_blocks.glsl"
#else
#include "common/block_values.glsl"
#include "common/row_groups.glsl"
#include "common/dots.glsl"
#endif
#include "common/tiles.glsl"

layout(push_constant) uniform Push {
    uvec2 weights, image;
    InFloats bias;
    Floats result;
    uint k, unit_bytes, rows, columns, result_stride, has_bias;  // unit: a panel, or a row
};

const uint BLOCKS = 2;         // of 32 K, in a tile
const uint WORDS = BLOCKS * 8;  // of four K
#if defined(Q6_K) || !defined(PANELS)
const uint SCALED = 4;  // words that share scales
#else
const uint SCALED = 8;
#endif
#if defined(Q4_K) || !defined(PANELS)
#define MINIMA  // a value is q a + b
#endif

shared uvec4 tile_w[WORDS * ROW_FOURS];
shared uvec4 tile_x[WORDS * COLUMN_FOURS];
shared vec4 tile_a[WORDS / SCALED * ROW_FOURS];
#ifdef MINIMA
shared vec4 tile_b[WORDS / SCALED * ROW_FOURS];
#endif

#ifdef PANELS
void load_weights(uint row0, uint block0) {
    const uint last = (rows - 1) / 16;
    for (uint i = gl_LocalInvocationIndex; i < BLOCKS * TILE_ROWS; i += gl_WorkGroupSize.x) {  // panel, block, piece, quad
        const uint quad = i % 4, piece = i / 4 % 4, block = i / 16 % BLOCKS, p = i / (16 * BLOCKS), four = p * 4 + quad;
        const uvec2 panel = advance(weights, min(row0 / 16 + p, last), unit_bytes);
        uvec4 first, second;
        load_piece(panel, block0 + block, quad, piece, first, second);
        tile_w[(block * 8 + piece * 2) * ROW_FOURS + four] = first;
        tile_w[(block * 8 + piece * 2 + 1) * ROW_FOURS + four] = second;
        if (piece != 0) continue;
        vec4 a, b;
        load_scales(panel, block0 + block, quad, a, b);
#ifdef Q6_K
        tile_a[2 * block * ROW_FOURS + four] = a;
        tile_a[(2 * block + 1) * ROW_FOURS + four] = b;
#else
        tile_a[block * ROW_FOURS + four] = a;
#endif
#ifdef MINIMA
        tile_b[block * ROW_FOURS + four] = -b;
#endif
    }
}
#else
void load_weights(uint row0, uint block0) {
    const uint groups = 2 * BLOCKS;
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS * groups; i += gl_WorkGroupSize.x) {
        const uint group = i % groups, row = i / groups, four = row / 4;
        const uvec2 address = advance(weights, min(row0 + row, rows - 1), unit_bytes);
        const uint odd = address.x & 3;  // words begin at multiples of four bytes, rows at even ones
        uvec4 q;
        float a, b;
        load_row_group(InWords(uvec2(address.x - odd, address.y)), odd, block0 * 2 + group, q, a, b);
        [[unroll]] for (uint j = 0; j < 4; ++j) tile_w[(4 * group + j) * ROW_FOURS + four][row % 4] = q[j];
        tile_a[group * ROW_FOURS + four][row % 4] = a;
        tile_b[group * ROW_FOURS + four][row % 4] = b;
    }
}
#endif

void load_columns(uint column0, uint block0) {
    for (uint i = gl_LocalInvocationIndex; i < TILE_COLUMNS * WORDS / 4; i += gl_WorkGroupSize.x) {
        const uint four = i % (WORDS / 4), c = i / (WORDS / 4);
        const uvec4 x = InWords4(image).at[min(column0 + c, columns - 1) * (k / 16) + block0 * 2 + four];
        [[unroll]] for (uint j = 0; j < 4; ++j) tile_x[(four * 4 + j) * COLUMN_FOURS + c / 4][c % 4] = x[j];
    }
}

vec4 sums[THREAD_COLUMNS * ROW_QUADS];  // of four rows
float scales[THREAD_COLUMNS];

// Words that share scales, from `first` on.
void add_words(uint first) {
    ivec4 exact[THREAD_COLUMNS * ROW_QUADS];
    int column_sums[THREAD_COLUMNS];
    [[unroll]] for (uint i = 0; i < THREAD_COLUMNS * ROW_QUADS; ++i) exact[i] = ivec4(0);
    [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) column_sums[c] = 0;
    [[unroll]] for (uint word = 0; word < SCALED; ++word) {
        uvec4 w[ROW_QUADS];
        [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) w[r] = tile_w[(first + word) * ROW_FOURS + row_four(r)];
        [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) {
            const uint x = tile_x[(first + word) * COLUMN_FOURS + column_four(c / 4)][c % 4];
            [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) exact[c * ROW_QUADS + r] += dots(w[r], x);
#ifdef MINIMA
            column_sums[c] += sum_of_bytes(x);
#endif
        }
    }
    [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) {
        const uint at = first / SCALED * ROW_FOURS + row_four(r);
        const vec4 a = tile_a[at];
        [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) {
            const uint i = c * ROW_QUADS + r;
#ifdef MINIMA
            const vec4 value = fma(tile_b[at], vec4(column_sums[c]), a * vec4(exact[i]));
#else
            const vec4 value = a * vec4(exact[i]);
#endif
            sums[i] = fma(vec4(scales[c]), value, sums[i]);
        }
    }
}

void main() {
    const uint column0 = gl_WorkGroupID.x * TILE_COLUMNS, row0 = gl_WorkGroupID.y * TILE_ROWS;
    [[unroll]] for (uint i = 0; i < THREAD_COLUMNS * ROW_QUADS; ++i) sums[i] = vec4(0);
    for (uint block0 = 0; block0 < k / 32; block0 += BLOCKS) {
        barrier();
        load_weights(row0, block0);
        load_columns(column0, block0);
        if (block0 % 8 == 0)
            [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) {
                const uint column = min(column0 + 4 * column_four(c / 4) + c % 4, columns - 1);
                scales[c] = InFloats(image).at[columns * (k / 4) + column * (k / 256) + block0 / 8];
            }
        barrier();
        for (uint first = 0; first < WORDS; first += SCALED) add_words(first);
    }
    [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) {
        const uint column = column0 + 4 * column_four(c / 4) + c % 4;
        [[unroll]] for (uint i = 0; i < THREAD_ROWS; ++i) {
            const uint row = row0 + 4 * row_four(i / 4) + i % 4;
            if (column >= columns || row >= rows) continue;
            const float value = sums[c * ROW_QUADS + i / 4][i % 4];
            result.at[column * result_stride + row] = has_bias != 0 ? value + bias.at[row] : value;
        }
    }
}
