// The partials of a row, merged in ascending order of their positions into the result. One workgroup a row.
#version 460
#include "common/types.glsl"
#include "common/reduce.glsl"

layout(constant_id = 1) const uint kDim = 256;
layout(constant_id = 4) const uint kSplit = 1;

#include "common/runs.glsl"

layout(push_constant, scalar) uniform Push {
    InFloats partials;  // as attention.comp leaves them
    InInts first, last;
    Floats to;
    uint heads, to_stride, slots;
};

const uint kSlotsAtMost = 160;
shared float factors[kSlotsAtMost], sums[kSlotsAtMost];

uint slot_at(int first_block, uint i) {
    return kSplit == 2 ? slot_of(first_block + int(i), slots) : slot_of(first_block, slots) + i;
}

void main() {
    const uint token = gl_WorkGroupID.x / heads, head = gl_WorkGroupID.x % heads, lane = gl_LocalInvocationIndex;
    const uint line = gl_WorkGroupID.x * slots, states = gl_NumWorkGroups.x * slots * kDim;
    const int begin = first.at[token], end = last.at[token], block = begin / 256;
    uint count = 0;
    if (begin < end) {
        const int last_block = (end - 1) / 256;
        count = kSplit == 2 ? uint(last_block - block + 1) : slot_of(last_block, slots) - slot_of(block, slots) + 1;
    }
    float mine = -3.0e38;
    for (uint i = lane; i < count; i += gl_WorkGroupSize.x)
        mine = max(mine, partials.at[states + 2 * (line + slot_at(block, i))]);
    const float maximum = max_of_all(mine);
    for (uint i = lane; i < count; i += gl_WorkGroupSize.x) {
        const uint at = states + 2 * (line + slot_at(block, i));
        precise const float factor = exp(partials.at[at] - maximum);
        factors[i] = factor;
        sums[i] = partials.at[at + 1];
    }
    barrier();
    precise float sum = 0;
    for (uint i = 0; i < count; ++i) sum = fma(sums[i], factors[i], sum);
    for (uint d = lane; d < kDim; d += gl_WorkGroupSize.x) {
        precise float value = 0;
        for (uint i = 0; i < count; ++i)
            value = fma(partials.at[(line + slot_at(block, i)) * kDim + d], factors[i], value);
        to.at[token * to_stride + head * kDim + d] = sum > 0 ? value / sum : 0.0;
    }
}
