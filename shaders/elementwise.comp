// x = x + y, or x = cap tanh(x / cap), value by value.
#version 460
#include "common/types.glsl"

layout(push_constant) uniform Push {
    Floats x;
#ifdef ADD
    InFloats y;
#endif
    uint count;
    float cap;
};

void main() {
    const uint i = gl_GlobalInvocationID.x;
    if (i >= count) return;
#ifdef ADD
    x.at[i] += y.at[i];
#else
    // tanh of large values overflows in some drivers; at 15 it is 1 in f32.
    x.at[i] = cap * tanh(clamp(x.at[i] / cap, -15.0, 15.0));
#endif
}
