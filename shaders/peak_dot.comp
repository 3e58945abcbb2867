// Packed int8 dot products on registers, eight sums that do not wait for each other: how fast the device multiplies.
#version 460
#include "common/types.glsl"
#include "common/dot.glsl"

layout(push_constant) uniform Push {
    Ints sums;
    uint rounds;  // of 64 dot products
    int seed;
};

void main() {
    int a = seed + int(gl_GlobalInvocationID.x), b = seed ^ 0x01020304;
    int s[8];
    [[unroll]] for (int i = 0; i < 8; ++i) s[i] = i;
    for (uint r = 0; r < rounds; ++r) {
        [[unroll]] for (int j = 0; j < 8; ++j) {
            [[unroll]] for (int i = 0; i < 8; ++i) s[i] += dot4(a + i, b);
            a += s[j];
        }
    }
    int sum = 0;
    [[unroll]] for (int i = 0; i < 8; ++i) sum += s[i];
    if (sum == 0x3779b9) sums.at[0] = sum;
}
