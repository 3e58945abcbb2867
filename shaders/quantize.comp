// Rows of f32 to the int8 image: common/quantize.glsl. A workgroup of 64 n threads takes n groups of 256 of a column.
#version 460
#include "common/types.glsl"
#include "common/quantize.glsl"

layout(push_constant) uniform Push {
    InFloats x;
    Words image;
    uint k, stride, columns;  // stride: values from one row of x to the next
};

void main() {
    const uint group = gl_WorkGroupID.x * (gl_WorkGroupSize.x / 64) + gl_LocalInvocationIndex / 64;
    const uint t = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex % 64;
    const bool mine = group < k / 256;
    vec4 four = vec4(0);
    if (mine) {
        const uint at = t * stride + group * 256 + 4 * lane;
        four = vec4(x.at[at], x.at[at + 1], x.at[at + 2], x.at[at + 3]);
    }
    float scale;
    const uint q = quantize_four(four, scale);
    if (mine) store_quantized(image, q, scale, t, group, k, columns);
}
