// y = (x - mean) / sqrt(var + eps) * w + b, a workgroup for each row. The mean is a pair of floats, the second the mean of
// what the first leaves: a picture's flat patch has almost no variance, and 1 / sqrt(eps) multiplies the error of the mean
// by 300 (the reference sums in double).
#version 460
#include "common/types.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push {
    InFloats x;  // [T][n]
    InFloats w;  // [n]
    InFloats b;
    Floats y;    // [T][n]; the same memory as x is allowed
    uint n;
    float eps;
};

void main() {
    const uint row = gl_WorkGroupID.x * n, lane = gl_LocalInvocationIndex, width = gl_WorkGroupSize.x;
    float sum = 0;
    for (uint i = lane; i < n; i += width) sum += x.at[row + i];
    const float mean = sum_of_all(sum) / float(n);
    sum = 0;
    for (uint i = lane; i < n; i += width) sum += x.at[row + i] - mean;
    const float rest = sum_of_all(sum) / float(n);
    float squares = 0;
    for (uint i = lane; i < n; i += width) {
        precise const float away = (x.at[row + i] - mean) - rest;
        squares += away * away;
    }
    const float inverse = 1.0 / sqrt(sum_of_all(squares) / float(n) + eps);
    for (uint i = lane; i < n; i += width) {
        precise const float away = (x.at[row + i] - mean) - rest;
        y.at[row + i] = away * inverse * w.at[i] + b.at[i];
    }
}
