// A head's rms norm and rotation: of q in place, or, with STORE, of a key (or a value, that has no weight and does not turn)
// into the cache in its format. One workgroup a head.
#version 460
#include "common/types.glsl"
#include "common/reduce.glsl"

layout(constant_id = 1) const uint kDim = 256;

#ifdef STORE
#include "common/kv.glsl"
layout(constant_id = 2) const uint kKeyPairs = 0;  // KvView::key_pairs

layout(push_constant, scalar) uniform Push {
    InFloats k, v, weight, cosine, sine;
    InStep step;
    InInts position;  // of column 0
    InSegments segments;
    uvec2 cache;  // not an address: for the recorder's barriers
    uint k_stride, v_stride, pairs;
    float eps;
    KvLayer layer;
};
shared float head_values[kDim];
#else
layout(push_constant, scalar) uniform Push {
    Floats q;
    InFloats weight, cosine, sine;
    uint stride, pairs;
    float eps;
};
#endif

const uint kHalf = kDim / 2;

// 1 / sqrt(mean(x^2) + eps)
float inverse_rms(Floats x, uint from, float epsilon) {
    precise float sum = 0;
    for (uint i = gl_LocalInvocationIndex; i < kDim; i += gl_WorkGroupSize.x) sum = fma(x.at[from + i], x.at[from + i], sum);
    return 1.0 / sqrt(sum_of_all(sum) / float(kDim) + epsilon);
}

// Values j and j + kDim / 2 of a normed head, turned by the angles of its token.
vec2 turned(vec2 x, uint token, uint j) {
    if (j >= pairs) return x;
    const float c = cosine.at[token * pairs + j], s = sine.at[token * pairs + j];
    precise const vec2 result = vec2(x.x * c - x.y * s, x.y * c + x.x * s);
    return result;
}

#ifdef STORE
#include "common/kv_store.glsl"

void main() {
    const uint head = gl_WorkGroupID.x, token = gl_WorkGroupID.y;
    const bool key = gl_WorkGroupID.z == 0;
    const uint from = head * kDim + token * (key ? k_stride : v_stride);
    InFloats x = k;
    if (!key) x = v;
    const float scale = inverse_rms(Floats(uvec2(x)), from, eps);
    uint size = kDim;
    if (key && kKeyPairs > 0) size = 2 * kKeyPairs;
    for (uint j = gl_LocalInvocationIndex; j < size / 2; j += gl_WorkGroupSize.x) {
        precise vec2 y = vec2(x.at[from + j], x.at[from + j + kHalf]) * scale;
        if (key) y = turned(y * vec2(weight.at[j], weight.at[j + kHalf]), token, j);
        head_values[j] = y.x;
        head_values[j + size / 2] = y.y;
    }
    barrier();
    const int at = position.at[0] + int(token);
    KvSpan span = step.stores[0];
    for (uint s = 1; at >= span.position + span.count; ++s) span = step.stores[s];
    store_row(uint(span.segment), key ? kKeys : kValues, head, uint(span.first_row + at - span.position), size);
}
#else
void main() {
    const uint token = gl_WorkGroupID.y, from = token * stride + gl_WorkGroupID.x * kDim;
    const float scale = inverse_rms(q, from, eps);
    for (uint j = gl_LocalInvocationIndex; j < kHalf; j += gl_WorkGroupSize.x) {
        precise vec2 y = vec2(q.at[from + j], q.at[from + j + kHalf]) * scale;
        y = turned(y * vec2(weight.at[j], weight.at[j + kHalf]), token, j);
        q.at[from + j] = y.x;
        q.at[from + j + kHalf] = y.y;
    }
}
#endif
