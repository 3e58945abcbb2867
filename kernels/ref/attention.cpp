// Reference attention of one token: softmax(q . k) V in blocks of 256 absolute positions, each with its own
// maximum, sum and accumulator; blocks merge in ascending order (the contract in kernels.h).
#include <cmath>

#include "kernels/declare.h"
#include "kernels/half.h"
#include "kernels/kv_rows.h"

namespace lapidary::kernels::ref {
namespace {

float cache_value(KvFormat format, const KvRow& row, int64_t i) {
    if (format == KvFormat::f32) {
        float value;
        memcpy(&value, row.values + 4 * i, sizeof value);
        return value;
    }
    if (format == KvFormat::f16) return half_to_float(load_u16(row.values + 2 * i));
    const float scale = half_to_float(load_u16(row.scales + i / 32 * 2));
    return static_cast<float>(static_cast<int8_t>(row.values[i])) * scale;
}

float score(const AttentionArgs& a, const float* q, const KvRow& key) {
    float sum = 0;
    for (int i = 0; i < a.dim; ++i) sum += q[i] * cache_value(a.format, key, i);
    return sum;
}

// One block of one head: returns its maximum and sum, fills `acc` [dim] with sum of e^(s - max) v.
void block(const AttentionArgs& a, int head, KvCursor* cursor, int begin, int end, float* weights, float* acc,
           float* maximum, float* sum) {
    const int kv_head = head / (a.heads / a.kv_heads);
    KvCursor values = *cursor;
    *maximum = -INFINITY;
    for (int p = begin; p < end; ++p) {
        weights[p - begin] = score(a, a.q + int64_t{head} * a.dim, key_row(a, cursor, p, kv_head));
        if (weights[p - begin] > *maximum) *maximum = weights[p - begin];
    }
    *sum = 0;
    for (int i = 0; i < a.dim; ++i) acc[i] = 0;
    for (int p = begin; p < end; ++p) {
        const float weight = std::exp(weights[p - begin] - *maximum);
        const KvRow value = value_row(a, &values, p, kv_head);
        *sum += weight;
        for (int i = 0; i < a.dim; ++i) acc[i] += weight * cache_value(a.format, value, i);
    }
}

void head_attention(const AttentionArgs& a, int head, float* weights, float* acc) {
    float* out = a.out + int64_t{head} * a.dim;
    for (int i = 0; i < a.dim; ++i) out[i] = 0;
    float running_max = -INFINITY, running_sum = 0;
    KvCursor cursor;
    for (int begin = a.first; begin < a.last;) {
        const int end = attention_block_end(begin, a.last);
        float maximum, sum;
        block(a, head, &cursor, begin, end, weights, acc, &maximum, &sum);
        const float merged = maximum > running_max ? maximum : running_max;
        const float keep = std::exp(running_max - merged), take = std::exp(maximum - merged);
        for (int i = 0; i < a.dim; ++i) out[i] = out[i] * keep + acc[i] * take;
        running_sum = running_sum * keep + sum * take;
        running_max = merged;
        begin = end;
    }
    for (int i = 0; i < a.dim && a.last > a.first; ++i) out[i] /= running_sum;
}

}  // namespace

void attention(const AttentionArgs& a) {
    for (int head = a.head_begin; head < a.head_end; ++head) {
        head_attention(a, head, a.scratch, a.scratch + kAttentionBlock);
    }
}

}  // namespace lapidary::kernels::ref
