// Reads a buffer and adds its words, to measure how fast memory can be read. Every workgroup takes one stretch.
#version 460
#include "common/types.glsl"

layout(push_constant) uniform Push {
    InWords4 from;
    Words sums;    // a word of every workgroup, so that nothing is optimised away
    uint quads;    // 16-byte words in all
    uint stretch;  // of a workgroup, a multiple of 4 times its size
};

void main() {
    const uint begin = gl_WorkGroupID.x * stretch, end = min(begin + stretch, quads), width = gl_WorkGroupSize.x;
    uvec4 a = uvec4(0), b = uvec4(0), c = uvec4(0), d = uvec4(0);
    for (uint i = begin + gl_LocalInvocationIndex; i + 3 * width < end; i += 4 * width) {
        a += from.at[i];
        b += from.at[i + width];
        c += from.at[i + 2 * width];
        d += from.at[i + 3 * width];
    }
    const uvec4 sum = a + b + c + d;
    // Only with this sum, which data seldom have, is anything written.
    if (sum.x + sum.y + sum.z + sum.w == 0x9e3779b9u) sums.at[gl_WorkGroupID.x] = sum.x;
}
