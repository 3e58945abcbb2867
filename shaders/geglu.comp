// gate = gelu(gate) * up, value by value of some rows' parts.
#version 460
#include "common/types.glsl"
#include "common/gelu.glsl"

layout(push_constant) uniform Push {
    Floats gate;
    InFloats up;
    uint count, gate_stride, up_stride;  // values of a row; from one row to the next
};

void main() {
    const uint i = gl_GlobalInvocationID.x, t = gl_WorkGroupID.y;
    if (i >= count) return;
    const uint at = t * gate_stride + i;
    gate.at[at] = geglu(gate.at[at], up.at[t * up_stride + i]);
}
