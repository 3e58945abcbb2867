// Cooperative matrices multiplied in registers, four sums that do not wait for each other: how fast the device multiplies.
// With INT8 s8 x s8 -> s32, else f16 x f16 -> f32.
#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#include "common/types.glsl"

layout(constant_id = 1) const uint M = 16;
layout(constant_id = 2) const uint N = 16;
layout(constant_id = 3) const uint MATRIX_K = 16;

layout(push_constant) uniform Push {
    Ints sums;
    uint rounds;  // of four multiplications
    int seed;
};

#ifdef INT8
#define VALUE int8_t
#define SUM int
#else
#define VALUE float16_t
#define SUM float
#endif

void main() {
    coopmat<VALUE, gl_ScopeSubgroup, M, MATRIX_K, gl_MatrixUseA> a =
        coopmat<VALUE, gl_ScopeSubgroup, M, MATRIX_K, gl_MatrixUseA>(VALUE(seed));
    coopmat<VALUE, gl_ScopeSubgroup, MATRIX_K, N, gl_MatrixUseB> b =
        coopmat<VALUE, gl_ScopeSubgroup, MATRIX_K, N, gl_MatrixUseB>(VALUE(seed + int(gl_WorkGroupID.x % 2)));
    coopmat<SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> s[4];
    [[unroll]] for (int i = 0; i < 4; ++i) s[i] = coopmat<SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(SUM(i));
    for (uint r = 0; r < rounds; ++r)
        [[unroll]] for (int i = 0; i < 4; ++i) s[i] = coopMatMulAdd(a, b, s[i]);
    SUM sum = SUM(0);
    [[unroll]] for (int i = 0; i < 4; ++i) sum += s[i][0];
    if (sum == SUM(7654321)) sums.at[0] = int(sum);
}
