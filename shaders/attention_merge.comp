// The partials of a row, merged in ascending order of their positions into the result, and into its int8
// image where the products behind it take one. One workgroup a row.
#version 460
#include "common/types.glsl"
#include "common/reduce.glsl"
#include "common/quantize.glsl"

layout(constant_id = 1) const uint kDim = 256;
layout(constant_id = 2) const bool kImage = false;  // kDim is then a multiple of 256, and four times the threads at most
layout(constant_id = 4) const uint kSplit = 1;

#include "common/runs.glsl"

layout(push_constant, scalar) uniform Push {
    InFloats partials;  // as attention.comp leaves them
    InInts first, last;
    Floats to;
    Words image;
    uint heads, to_stride, slots;
};

const uint kSlotsAtMost = 160;
shared float factors[kSlotsAtMost], sums[kSlotsAtMost];
shared float row[kImage ? kDim : 4];

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
        precise const float result = sum > 0 ? value / sum : 0.0;
        to.at[token * to_stride + head * kDim + d] = result;
        if (kImage) row[d] = result;
    }
    if (!kImage) return;
    barrier();
    const uint group = lane / 64, at = 4 * lane;  // 64 threads a group of 256
    const bool mine_too = at < kDim;
    const vec4 four = mine_too ? vec4(row[at], row[at + 1], row[at + 2], row[at + 3]) : vec4(0);
    float scale;
    const uint q = quantize_four(four, scale);
    if (mine_too) store_quantized(image, q, scale, token, head * (kDim / 256) + group, heads * kDim, gl_NumWorkGroups.x / heads);
}
