// Rows of the step's scratch into the ring, all planes of a kv head's row by one workgroup. What the step does not commit
// leaves at once: the grid is for the most.
#version 460
#include "common/types.glsl"
#include "common/kv.glsl"

layout(push_constant, scalar) uniform Push {
    InStep step;
    InSegments segments;
    uvec2 ring, scratch;  // not addresses: for the recorder's barriers
    KvLayer layer;
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Units { uvec4 at[]; };

void main() {
    const uint head = gl_WorkGroupID.y;
    int row = int(gl_WorkGroupID.x), i = 0;
    while (i < step.commit_count && row >= step.commits[i].count) row -= step.commits[i++].count;
    if (i >= step.commit_count) return;
    const uint from = uint(step.commits[i].from_row + row), to = uint(step.commits[i].to_row + row);
    for (uint plane = 0; plane < 4; ++plane) {
        const uint bytes = layer.row[plane];
        Units out_ = Units(advance_product(plane_of(segments, layer, 0, plane, head), to, bytes));
        InWords4 in_ = InWords4(advance_product(plane_of(segments, layer, 1, plane, head), from, bytes));
        for (uint u = gl_LocalInvocationIndex; u < bytes / 16; u += gl_WorkGroupSize.x) out_.at[u] = in_.at[u];
    }
}
