// y = x / sqrt(mean(x^2) + eps) * w, a workgroup for each row. With ADD the residual of a normed branch first,
// x = (x + norm(branch) * w) * scale, and then, if a norm of the new x follows at once, y = norm(x) * next. With IMAGE
// y goes to the int8 image of products too; n is then a multiple of 256 and the workgroup one of 64.
// Formulas: kernels/kernels.h.
#version 460
#include "common/types.glsl"
#include "common/reduce.glsl"
#ifdef IMAGE
#include "common/quantize.glsl"
#endif

layout(constant_id = 1) const uint kFlags = 0;  // 1: w is there; 2, with ADD: a norm follows
const bool kHasWeight = (kFlags & 1) != 0, kNormFollows = (kFlags & 2) != 0;

layout(push_constant) uniform Push {
#ifdef ADD
    Floats x;         // [T][n]
    InFloats branch;  // [T][n]
    InFloats w;       // [n]
    InFloats next;    // [n]
#else
    InFloats x;
    InFloats w;
#endif
    Floats y;         // [T][n]; the same memory as x is allowed
#ifdef IMAGE
    Words image;
#endif
    uint n;
    float eps;
    float scale;
};

#ifdef ADD
float weight_of(uint i) { return next.at[i]; }
#else
float weight_of(uint i) { return kHasWeight ? w.at[i] : 1.0; }
#endif

float inverse_rms(float squares) { return 1.0 / sqrt(sum_of_all(squares) / float(n) + eps); }

// Every thread sees to the same values in all loops: with IMAGE four neighbours of a group of 256, else single ones.
#ifdef IMAGE
const uint EACH = 4;
#else
const uint EACH = 1;
#endif

void write_normed(uint row, float inverse) {
    const uint lane = gl_LocalInvocationIndex, width = EACH * gl_WorkGroupSize.x;
    for (uint begin = 0; begin < n; begin += width) {  // the same number of rounds for all: quantising has barriers
        const uint k = begin + EACH * lane;
        float values[EACH];
        [[unroll]] for (uint i = 0; i < EACH; ++i) {
            values[i] = 0;
            if (k >= n) continue;
            values[i] = x.at[row + k + i] * inverse * weight_of(k + i);
            y.at[row + k + i] = values[i];
        }
#ifdef IMAGE
        float s;
        const uint q = quantize_four(vec4(values[0], values[1], values[2], values[3]), s);
        if (k < n) store_quantized(image, q, s, gl_WorkGroupID.x, k / 256, n, gl_NumWorkGroups.x);
#endif
    }
}

void main() {
    const uint row = gl_WorkGroupID.x * n, lane = gl_LocalInvocationIndex, width = EACH * gl_WorkGroupSize.x;
    float squares = 0;
#ifdef ADD
    for (uint k = EACH * lane; k < n; k += width)
        [[unroll]] for (uint i = k; i < k + EACH; ++i) squares += branch.at[row + i] * branch.at[row + i];
    const float inverse = inverse_rms(squares);
    squares = 0;
    for (uint k = EACH * lane; k < n; k += width)
        [[unroll]] for (uint i = k; i < k + EACH; ++i) {
            const float sum = (x.at[row + i] + branch.at[row + i] * inverse * w.at[i]) * scale;
            x.at[row + i] = sum;
            squares += sum * sum;
        }
    if (!kNormFollows) return;
#else
    for (uint k = EACH * lane; k < n; k += width)
        [[unroll]] for (uint i = k; i < k + EACH; ++i) squares += x.at[row + i] * x.at[row + i];
#endif
    write_normed(row, inverse_rms(squares));
}
