// The greatest scores of rows: a workgroup sorts 2048 scores, or the best of as many slices as it takes to 2048, and keeps
// the k first. Passes follow until one list is left.
#version 460
#include "common/types.glsl"

layout(constant_id = 1) const bool kFirst = true;  // reads scores, not lists
layout(constant_id = 2) const bool kLast = true;   // writes Candidates, not a list

layout(push_constant, scalar) uniform Push {
    InWords scores;  // f32, by their bits
    InWords mask;
    InWords from;  // [row][lists][k] pairs of order and id
    Words to;
    uint vocab, stride, k, lists, masked, to_stride;
};

const uint kItems = 2048;
const uint kNobody = 0xffffffffu;  // an id: of no score, its order is 0
shared uint orders[kItems], ids[kItems];

// Greater for greater scores, of equal ones equal, greatest for what is not a number, 0 for none.
uint order_of(uint bits) {
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0xffffffffu;
    if (bits == 0x80000000u) bits = 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

void load_scores(uint row) {
    for (uint i = gl_LocalInvocationIndex; i < kItems; i += gl_WorkGroupSize.x) {
        const uint id = gl_WorkGroupID.x * kItems + i;
        const bool counts = id < vocab && (masked == 0 || (mask.at[id / 32] >> (id % 32) & 1u) != 0);
        ids[i] = counts ? id : kNobody;
        orders[i] = counts ? order_of(scores.at[row * stride + id]) : 0;
    }
}

void load_lists(uint row) {
    const uint each = kItems / k, first = gl_WorkGroupID.x * each;
    const uint count = min(each, lists - first) * k;
    for (uint i = gl_LocalInvocationIndex; i < kItems; i += gl_WorkGroupSize.x) {
        const uint at = 2 * ((row * lists + first) * k + i);
        orders[i] = i < count ? from.at[at] : 0;
        ids[i] = i < count ? from.at[at + 1] : kNobody;
    }
}

bool goes_before(uint a, uint b) { return orders[a] > orders[b] || (orders[a] == orders[b] && ids[a] < ids[b]); }

// Bitonic: runs of `size`, in turns ascending and descending, are merged.
void sort_items() {
    for (uint size = 2; size <= kItems; size *= 2)
        for (uint apart = size / 2; apart > 0; apart /= 2) {
            barrier();
            for (uint i = gl_LocalInvocationIndex; i < kItems / 2; i += gl_WorkGroupSize.x) {
                const uint a = 2 * i - (i & (apart - 1)), b = a + apart;
                const bool turned = (a & size) != 0;
                if (goes_before(b, a) == turned) continue;
                const uint order = orders[a], id = ids[a];
                orders[a] = orders[b];
                ids[a] = ids[b];
                orders[b] = order;
                ids[b] = id;
            }
        }
    barrier();
}

void main() {
    const uint row = gl_WorkGroupID.y;
    if (kFirst)
        load_scores(row);
    else
        load_lists(row);
    sort_items();
    for (uint i = gl_LocalInvocationIndex; i < k; i += gl_WorkGroupSize.x) {
        if (kLast) {
            const bool any = ids[i] != kNobody;
            to.at[row * to_stride + 2 * i] = ids[i];
            to.at[row * to_stride + 2 * i + 1] = any ? scores.at[row * stride + ids[i]] : 0;
        } else {
            const uint at = 2 * ((row * gl_NumWorkGroups.x + gl_WorkGroupID.x) * k + i);
            to.at[at] = orders[i];
            to.at[at + 1] = ids[i];
        }
    }
}
