// Many columns of the int8 image times quantised weights in panels, by cooperative matrices of a subgroup.
// INT8: s8 x s8 -> s32, exact over what shares scales (32 K, in Q6_K 16), then f32. Else f16 x f16 -> f32: weights are rounded
// to f16 (11 bits; Vulkan lets that go up or down: 2^-10 of a value), the image's bytes are exact in it, their scales follow
// each 256 K. Every subgroup of a workgroup does as many operations with matrices as the others.
#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#include "common/types.glsl"
#include "common/panel_blocks.glsl"

layout(constant_id = 1) const uint TILE_ROWS = 64;  // of a workgroup
layout(constant_id = 2) const uint TILE_COLUMNS = 64;
layout(constant_id = 3) const uint OWN_ROWS = 32;  // of a subgroup
layout(constant_id = 4) const uint OWN_COLUMNS = 32;
layout(constant_id = 5) const uint M = 16;  // of a matrix: rows, columns, and K
layout(constant_id = 6) const uint N = 16;
layout(constant_id = 7) const uint MATRIX_K = 16;

layout(push_constant) uniform Push {
    uvec2 weights, image;
    InFloats bias;
    Floats result;
    uint k, unit_bytes, rows, columns, result_stride, has_bias;  // unit: a panel
};

#ifdef INT8
#define VALUE int8_t
#define FOUR i8vec4
#define SUM int
const uint BLOCKS = 2;  // of 32 K, in a tile
const uint PAD = 4;     // fours of values that keep rows 16 bytes apart from whole turns of the banks
#ifdef Q6_K
const uint SCALED = 16;  // values of K that share scales
#else
const uint SCALED = 32;
#endif
#else
#define VALUE float16_t
#define FOUR f16vec4
#define SUM float
const uint BLOCKS = 1;
const uint PAD = 2;
const uint SCALED = 32;
#endif
#define WEIGHTS coopmat<VALUE, gl_ScopeSubgroup, M, MATRIX_K, gl_MatrixUseA>
#define INPUTS coopmat<VALUE, gl_ScopeSubgroup, MATRIX_K, N, gl_MatrixUseB>
#define EXACT coopmat<SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define RESULTS coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>

const uint STRIDE = BLOCKS * 8 + PAD;  // of tiles [rows or columns][K], in fours of K
const uint STEPS = SCALED / MATRIX_K;
const uint DOWN = OWN_ROWS / M, ALONG = OWN_COLUMNS / N;  // matrices of a subgroup
const uint SUBGROUPS_DOWN = TILE_ROWS / OWN_ROWS, SUBGROUPS = SUBGROUPS_DOWN * (TILE_COLUMNS / OWN_COLUMNS);

shared FOUR tile_w[TILE_ROWS * STRIDE];
shared FOUR tile_x[TILE_COLUMNS * STRIDE];
shared float tile_s[TILE_COLUMNS];         // scales of the image
shared float finished[SUBGROUPS * M * N];  // a matrix of each subgroup, on its way to memory
#ifdef INT8
shared float tile_a[BLOCKS * 32 / SCALED * TILE_ROWS];
#ifdef Q4_K
shared float tile_b[BLOCKS * TILE_ROWS];      // a value is q a + b
shared float tile_sum[BLOCKS * TILE_COLUMNS];  // of the image's bytes
#endif
#endif

// Four values of K of four rows.
void keep_weights(uint at, uvec4 w, vec4 a, vec4 b) {
#ifdef INT8
    [[unroll]] for (uint r = 0; r < 4; ++r) tile_w[at + r * STRIDE] = unpack8(int(w[r]));
#else
    vec4 f[UNIT / 8];
    floats_of(w, a, b, f);
    [[unroll]] for (uint r = 0; r < 4; ++r) tile_w[at + r * STRIDE] = f16vec4(f[0][r], f[1][r], f[2][r], f[3][r]);
#endif
}

#ifdef INT8
void keep_scales(uint row, uint block, vec4 a, vec4 b) {
    [[unroll]] for (uint r = 0; r < 4; ++r) {
#ifdef Q6_K
        tile_a[2 * block * TILE_ROWS + row + r] = a[r];
        tile_a[(2 * block + 1) * TILE_ROWS + row + r] = b[r];
#else
        tile_a[block * TILE_ROWS + row + r] = a[r];
#endif
#ifdef Q4_K
        tile_b[block * TILE_ROWS + row + r] = -b[r];
#endif
    }
}
#endif

void load_weights(uint row0, uint block0) {
    const uint last = (rows - 1) / 16;
    for (uint i = gl_LocalInvocationIndex; i < BLOCKS * TILE_ROWS; i += gl_WorkGroupSize.x) {  // panel, block, piece, quad
        const uint quad = i % 4, piece = i / 4 % 4, block = i / 16 % BLOCKS, p = i / (16 * BLOCKS), row = 16 * p + 4 * quad;
        const uvec2 panel = advance(weights, min(row0 / 16 + p, last), unit_bytes);
        uvec4 first, second;
        vec4 a, b;
        load_piece(panel, block0 + block, quad, piece, first, second);
        load_scales(panel, block0 + block, quad, a, b);
#ifdef INT8
        if (piece == 0) keep_scales(row, block, a, b);
#elif defined(Q6_K)
        if (piece >= 2) a = b;
#endif
        keep_weights(row * STRIDE + block * 8 + 2 * piece, first, a, b);
        keep_weights(row * STRIDE + block * 8 + 2 * piece + 1, second, a, b);
    }
}

// A block of 32 values.
void load_columns(uint column0, uint block0) {
    for (uint i = gl_LocalInvocationIndex; i < BLOCKS * TILE_COLUMNS; i += gl_WorkGroupSize.x) {
        const uint block = i % BLOCKS, c = i / BLOCKS;
        InWords4 words = InWords4(advance(image, min(column0 + c, columns - 1), k));
        int sum = 0;
        [[unroll]] for (uint j = 0; j < 8; ++j) {
            const uint four = words.at[(block0 + block) * 2 + j / 4][j % 4];
            const ivec4 values = ivec4(four << 24, four << 16, four << 8, four) >> 24;
            tile_x[c * STRIDE + block * 8 + j] = FOUR(values);
            sum += values.x + values.y + values.z + values.w;
        }
#if defined(INT8) && defined(Q4_K)
        tile_sum[block * TILE_COLUMNS + c] = float(sum);
#endif
    }
}

void load_column_scales(uint column0, uint group) {
    InFloats scales = InFloats(advance(advance(image, columns, k), group * 4));
    for (uint c = gl_LocalInvocationIndex; c < TILE_COLUMNS; c += gl_WorkGroupSize.x)
        tile_s[c] = scales.at[min(column0 + c, columns - 1) * (k / 256)];
}

RESULTS sums[DOWN * ALONG];
uint own_row, own_column;  // of the subgroup, in the tile

// What lies along a row or down a column of a matrix, in all of its columns or rows.
#define LOAD_ROWS(matrix, from, at) coopMatLoad(matrix, from, at, 0, gl_CooperativeMatrixLayoutColumnMajor)
#define LOAD_COLUMNS(matrix, from, at) coopMatLoad(matrix, from, at, 0, gl_CooperativeMatrixLayoutRowMajor)

#ifndef INT8
RESULTS exact[DOWN * ALONG];  // of 256 K
#endif

#ifdef INT8
void take_out(EXACT total, uint r, uint c, uint part) {
    RESULTS factor, value;
    LOAD_ROWS(factor, tile_a, part * TILE_ROWS + own_row + r * M);
    value = RESULTS(total) * factor;
#ifdef Q4_K
    RESULTS offset;
    LOAD_ROWS(factor, tile_b, part * TILE_ROWS + own_row + r * M);
    LOAD_COLUMNS(offset, tile_sum, part * TILE_COLUMNS + own_column + c * N);
    value = value + factor * offset;
#endif
    LOAD_COLUMNS(factor, tile_s, own_column + c * N);
    sums[r * ALONG + c] = sums[r * ALONG + c] + value * factor;
}
#endif

// SCALED values of K, part number `part` of the tile.
void add_part(uint part) {
    INPUTS x[ALONG * STEPS];
    [[unroll]] for (uint c = 0; c < ALONG; ++c)
        [[unroll]] for (uint s = 0; s < STEPS; ++s)
            coopMatLoad(x[c * STEPS + s], tile_x, (own_column + c * N) * STRIDE + (part * SCALED + s * MATRIX_K) / 4, STRIDE,
                        gl_CooperativeMatrixLayoutColumnMajor);
    [[unroll]] for (uint r = 0; r < DOWN; ++r) {
        WEIGHTS w[STEPS];
        [[unroll]] for (uint s = 0; s < STEPS; ++s)
            coopMatLoad(w[s], tile_w, (own_row + r * M) * STRIDE + (part * SCALED + s * MATRIX_K) / 4, STRIDE,
                        gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint c = 0; c < ALONG; ++c) {
#ifdef INT8
            EXACT total = EXACT(0);
            [[unroll]] for (uint s = 0; s < STEPS; ++s) total = coopMatMulAdd(w[s], x[c * STEPS + s], total);
            take_out(total, r, c, part);
#else
            [[unroll]] for (uint s = 0; s < STEPS; ++s)
                exact[r * ALONG + c] = coopMatMulAdd(w[s], x[c * STEPS + s], exact[r * ALONG + c]);
#endif
        }
    }
}

void add_group(uint row0, uint column0, uint group) {
    barrier();
    load_column_scales(column0, group);
#ifndef INT8
    [[unroll]] for (uint i = 0; i < DOWN * ALONG; ++i) exact[i] = RESULTS(0);
#endif
    for (uint block0 = group * 8; block0 < group * 8 + 8; block0 += BLOCKS) {
        barrier();
        load_weights(row0, block0);
        load_columns(column0, block0);
        barrier();
        [[unroll]] for (uint part = 0; part < BLOCKS * 32 / SCALED; ++part) add_part(part);
    }
#ifndef INT8
    [[unroll]] for (uint c = 0; c < ALONG; ++c) {
        RESULTS scale;
        LOAD_COLUMNS(scale, tile_s, own_column + c * N);
        [[unroll]] for (uint r = 0; r < DOWN; ++r) sums[r * ALONG + c] = sums[r * ALONG + c] + exact[r * ALONG + c] * scale;
    }
#endif
}

// The matrix of every subgroup in `finished`, whose first result is `row`, `column`.
void write_out(uint row, uint column) {
    for (uint i = gl_SubgroupInvocationID; i < M * N; i += gl_SubgroupSize) {
        const uint r = row + i % M, c = column + i / M;
        if (r >= rows || c >= columns) continue;
        const float value = finished[gl_SubgroupID * M * N + i];
        result.at[c * result_stride + r] = has_bias != 0 ? value + bias.at[r] : value;
    }
}

void main() {
    const uint column0 = gl_WorkGroupID.x * TILE_COLUMNS, row0 = gl_WorkGroupID.y * TILE_ROWS;
    own_row = gl_SubgroupID % SUBGROUPS_DOWN * OWN_ROWS;
    own_column = gl_SubgroupID / SUBGROUPS_DOWN * OWN_COLUMNS;
    [[unroll]] for (uint i = 0; i < DOWN * ALONG; ++i) sums[i] = RESULTS(0);
    for (uint group = 0; group < k / 256; ++group) add_group(row0, column0, group);
    [[unroll]] for (uint r = 0; r < DOWN; ++r)
        [[unroll]] for (uint c = 0; c < ALONG; ++c) {
            barrier();
            coopMatStore(sums[r * ALONG + c], finished, gl_SubgroupID * M * N, M, gl_CooperativeMatrixLayoutColumnMajor);
            barrier();
            write_out(row0 + own_row + r * M, column0 + own_column + c * N);
        }
}
