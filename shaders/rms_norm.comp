// y = x / sqrt(mean(x^2) + eps) * w, a workgroup for each row. With ADD the residual of a normed branch first,
// x = (x + norm(branch) * w) * scale, and then, if a norm of the new x follows at once, y = norm(x) * next.
// Formulas: kernels/kernels.h.
#version 460
#include "common/types.glsl"
#include "common/reduce.glsl"

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
    uint n;
    float eps;
    float scale;
};

float inverse_rms(float squares) { return 1.0 / sqrt(sum_of_all(squares) / float(n) + eps); }

void main() {
    const uint row = gl_WorkGroupID.x * n, lane = gl_LocalInvocationIndex, step_ = gl_WorkGroupSize.x;
    float squares = 0;
#ifdef ADD
    for (uint i = lane; i < n; i += step_) squares += branch.at[row + i] * branch.at[row + i];
    const float inverse = inverse_rms(squares);
    squares = 0;
    for (uint i = lane; i < n; i += step_) {
        const float sum = (x.at[row + i] + branch.at[row + i] * inverse * w.at[i]) * scale;
        x.at[row + i] = sum;
        squares += sum * sum;
    }
    if (!kNormFollows) return;
    const float again = inverse_rms(squares);
    for (uint i = lane; i < n; i += step_) y.at[row + i] = x.at[row + i] * again * next.at[i];
#else
    for (uint i = lane; i < n; i += step_) squares += x.at[row + i] * x.at[row + i];
    const float inverse = inverse_rms(squares);
    for (uint i = lane; i < n; i += step_) y.at[row + i] = x.at[row + i] * inverse * (kHasWeight ? w.at[i] : 1.0);
#endif
}
