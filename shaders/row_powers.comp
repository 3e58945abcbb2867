// Of each row the power of two that brings its largest magnitude to [2^14, 2^15), or as near as f32 has powers: f16 holds it then
// and has normal numbers down to 2^-28 of it. A row of zeros or subnormal numbers, or with an infinity, has 1. A workgroup a row.
#version 460
#include "common/types.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push {
    InFloats x;
    Floats powers;
    uint k, stride;  // stride: values from one row of x to the next
};

void main() {
    const uint t = gl_WorkGroupID.x;
    float mine = 0;
    for (uint i = gl_LocalInvocationIndex; i < k; i += gl_WorkGroupSize.x) mine = max(mine, abs(x.at[t * stride + i]));
    const uint exponent = floatBitsToUint(max_of_all(mine)) >> 23;  // of 2^n: n + 127
    const uint power = exponent == 0 || exponent == 255 ? 127 : min(2 * 127 + 14 - exponent, 252);
    if (gl_LocalInvocationIndex == 0) powers.at[t] = uintBitsToFloat(power << 23);
}
