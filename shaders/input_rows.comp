// out[t] = the host's row t, of every column or only of those without an id.
#version 460
#include "common/types.glsl"

layout(constant_id = 1) const bool kWithoutId = false;

layout(push_constant) uniform Push {
    InFloats rows;  // [T][row_width], from the first value wanted on
    InInts ids;     // [T]
    Floats to;      // [T][to_stride]
    uint cols;
    uint row_width;
    uint to_stride;
};

void main() {
    const uint t = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x;
    if (i >= cols || (kWithoutId && ids.at[t] >= 0)) return;
    to.at[t * to_stride + i] = rows.at[t * row_width + i];
}
