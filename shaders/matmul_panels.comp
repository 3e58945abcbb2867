// Many columns of the int8 image times panels of quantised weights: packed dot products on tiles in shared memory, exact
// sums over 32 K (Q6_K: 16, as far as its scales go), then f32.
#version 460
#include "common/types.glsl"
#include "common/panel_blocks.glsl"
#include "common/tiles.glsl"

layout(push_constant) uniform Push {
    uvec2 weights, image;
    Floats result;
    uint k, panel_bytes, rows, columns, result_stride;
};

const uint BLOCKS = 2;         // of 32 K, in a tile
const uint WORDS = BLOCKS * 8;  // of four K
#ifdef Q6_K
const uint SCALED = 4;  // words that share scales
#else
const uint SCALED = 8;
#endif

shared uvec4 tile_w[WORDS * ROW_FOURS];
shared uvec4 tile_x[WORDS * COLUMN_FOURS];
shared vec4 tile_a[BLOCKS * ROW_FOURS];
#if defined(Q4_K) || defined(Q6_K)
shared vec4 tile_b[BLOCKS * ROW_FOURS];
#endif

void load_weights(uint row0, uint block0) {
    const uint last = (rows - 1) / 16;
    for (uint i = gl_LocalInvocationIndex; i < BLOCKS * TILE_ROWS; i += gl_WorkGroupSize.x) {  // panel, block, piece, quad
        const uint quad = i % 4, piece = i / 4 % 4, block = i / 16 % BLOCKS, p = i / (16 * BLOCKS), four = p * 4 + quad;
        const uvec2 panel = advance(weights, min(row0 / 16 + p, last), panel_bytes);
        uvec4 first, second;
        load_piece(panel, block0 + block, quad, piece, first, second);
        tile_w[(block * 8 + piece * 2) * ROW_FOURS + four] = first;
        tile_w[(block * 8 + piece * 2 + 1) * ROW_FOURS + four] = second;
        if (piece != 0) continue;
        vec4 a, b;
        load_scales(panel, block0 + block, quad, a, b);
        tile_a[block * ROW_FOURS + four] = a;
#if defined(Q4_K) || defined(Q6_K)
        tile_b[block * ROW_FOURS + four] = b;
#endif
    }
}

void load_columns(uint column0, uint block0) {
    for (uint i = gl_LocalInvocationIndex; i < TILE_COLUMNS * WORDS / 4; i += gl_WorkGroupSize.x) {
        const uint four = i % (WORDS / 4), c = i / (WORDS / 4);
        const uvec4 x = InWords4(image).at[min(column0 + c, columns - 1) * (k / 16) + block0 * 2 + four];
        [[unroll]] for (uint j = 0; j < 4; ++j) tile_x[(four * 4 + j) * COLUMN_FOURS + c / 4][c % 4] = x[j];
    }
}

void main() {
    const uint column0 = gl_WorkGroupID.x * TILE_COLUMNS, row0 = gl_WorkGroupID.y * TILE_ROWS;
    vec4 sums[THREAD_COLUMNS * ROW_QUADS];  // of four rows
    float scales[THREAD_COLUMNS];
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
        for (uint first = 0; first < WORDS; first += SCALED) {
            ivec4 exact[THREAD_COLUMNS * ROW_QUADS];
            int column_sums[THREAD_COLUMNS];
            [[unroll]] for (uint i = 0; i < THREAD_COLUMNS * ROW_QUADS; ++i) exact[i] = ivec4(0);
            [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) column_sums[c] = 0;
            [[unroll]] for (uint word = 0; word < SCALED; ++word) {
                uvec4 w[ROW_QUADS];
                [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) w[r] = tile_w[(first + word) * ROW_FOURS + row_four(r)];
                [[unroll]] for (uint c = 0; c < COLUMN_QUADS; ++c) {
                    const uvec4 x = tile_x[(first + word) * COLUMN_FOURS + column_four(c)];
                    [[unroll]] for (uint j = 0; j < 4; ++j) {
                        [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) exact[(4 * c + j) * ROW_QUADS + r] += dots(w[r], x[j]);
#ifdef Q4_K
                        column_sums[4 * c + j] += sum_of_bytes(x[j]);
#endif
                    }
                }
            }
            [[unroll]] for (uint r = 0; r < ROW_QUADS; ++r) {
                const uint at = first / 8 * ROW_FOURS + row_four(r);
#ifdef Q6_K
                const vec4 a = first % 8 == 0 ? tile_a[at] : tile_b[at];
#else
                const vec4 a = tile_a[at];
#endif
                [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) {
                    const uint i = c * ROW_QUADS + r;
#ifdef Q4_K
                    const vec4 value = fma(-tile_b[at], vec4(column_sums[c]), a * vec4(exact[i]));
#else
                    const vec4 value = a * vec4(exact[i]);
#endif
                    sums[i] = fma(vec4(scales[c]), value, sums[i]);
                }
            }
        }
    }
    [[unroll]] for (uint c = 0; c < THREAD_COLUMNS; ++c) {
        const uint column = column0 + 4 * column_four(c / 4) + c % 4;
        [[unroll]] for (uint i = 0; i < THREAD_ROWS; ++i) {
            const uint row = row0 + 4 * row_four(i / 4) + i % 4;
            if (column < columns && row < rows) result.at[column * result_stride + row] = sums[c * ROW_QUADS + i / 4][i % 4];
        }
    }
}
