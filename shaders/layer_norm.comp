// y = (x - mean) / sqrt(var + eps) * w + b, a workgroup for each row. The mean is a pair of floats: a picture's flat patch
// has almost no variance, and 1 / sqrt(eps) multiplies the error of the mean by 300 (the reference sums in double).
#version 460
#include "common/types.glsl"

shared float sums[gl_WorkGroupSize.x], lost[gl_WorkGroupSize.x];

layout(push_constant) uniform Push {
    InFloats x;  // [T][n]
    InFloats w;  // [n]
    InFloats b;
    Floats y;    // [T][n]; the same memory as x is allowed
    uint n;
    float eps;
};

// The rounding error of a + b (Knuth's TwoSum).
float error_of(float a, float b) {
    precise const float sum = a + b;
    precise const float back = sum - a;
    precise const float error = (a - (sum - back)) + (b - back);
    return error;
}

// Sums of all threads' sum + rest as such a pair again.
vec2 sum_pairs(float sum, float rest) {
    const uint lane = gl_LocalInvocationIndex;
    barrier();
    sums[lane] = sum;
    lost[lane] = rest;
    for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {
        barrier();
        if (lane < half_) {
            const float a = sums[lane], other = sums[lane + half_];
            sums[lane] = a + other;
            lost[lane] += lost[lane + half_] + error_of(a, other);
        }
    }
    barrier();
    return vec2(sums[0], lost[0]);
}

void main() {
    const uint row = gl_WorkGroupID.x * n, lane = gl_LocalInvocationIndex, step_ = gl_WorkGroupSize.x;
    const float count = float(n);
    float sum = 0, rest = 0;
    for (uint i = lane; i < n; i += step_) {
        const float value = x.at[row + i];
        rest += error_of(sum, value);
        sum += value;
    }
    const vec2 total = sum_pairs(sum, rest);
    precise const float mean = (total.x + total.y) / count;
    precise const float mean_rest = (fma(-mean, count, total.x) + total.y) / count;
    float squares = 0;
    for (uint i = lane; i < n; i += step_) {
        precise const float away = (x.at[row + i] - mean) - mean_rest;
        squares += away * away;
    }
    const float inverse = 1.0 / sqrt(sum_pairs(squares, 0).x / count + eps);
    for (uint i = lane; i < n; i += step_) {
        precise const float away = (x.at[row + i] - mean) - mean_rest;
        y.at[row + i] = away * inverse * w.at[i] + b.at[i];
    }
}
