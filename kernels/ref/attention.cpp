// Reference attention: softmax(q . k) V for one row after the other, in blocks of 256 absolute positions, each
// with its own maximum, sum and accumulator; blocks merge in ascending order (the contract in kernels.h).
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

float score(const AttentionArgs& a, const float* q, const KvRow& key, const KvRow& value) {
    const int half = a.dim / 2;
    float sum = 0;
    for (int i = 0; i < a.dim; ++i) {
        if (a.key_pairs == 0) {
            sum += q[i] * cache_value(a.format, key, i);
        } else if (i % half < a.key_pairs) {
            sum += q[i] * cache_value(a.format, key, i < half ? i : i - half + a.key_pairs);
        } else {
            sum += q[i] * a.key_weight[i] * cache_value(a.format, value, i);
        }
    }
    return sum;
}

// A partial of one row: acc [dim], maximum, sum.
int64_t row_floats(int64_t dim) { return dim + 2; }

// The part of a block that the row sees: fills `acc` with sum of e^(s - max) v, then maximum and sum.
void block(const AttentionArgs& a, const float* q, Positions p, float* weights, float* acc) {
    KvCursor keys, values;
    float maximum = -INFINITY, sum = 0;
    for (int i = p.begin; i < p.end; ++i) {
        weights[i - p.begin] = score(a, q, key_row(a, &keys, i), value_row(a, &keys, i));
        if (weights[i - p.begin] > maximum) maximum = weights[i - p.begin];
    }
    for (int i = 0; i < a.dim; ++i) acc[i] = 0;
    for (int i = p.begin; i < p.end; ++i) {
        const float weight = std::exp(weights[i - p.begin] - maximum);
        const KvRow value = value_row(a, &values, i);
        sum += weight;
        for (int d = 0; d < a.dim; ++d) acc[d] += weight * cache_value(a.format, value, d);
    }
    acc[a.dim] = maximum;
    acc[a.dim + 1] = sum;
}

struct Running {
    float maximum = -INFINITY, sum = 0;
};

// Merges values [begin, end) of a block into `out`. A block of which the row saw nothing changes nothing.
void merge(const float* partial, int64_t dim, int64_t begin, int64_t end, Running* running, float* out) {
    const float maximum = partial[dim], sum = partial[dim + 1];
    if (maximum == -INFINITY && sum == 0) return;
    const float merged = maximum > running->maximum ? maximum : running->maximum;
    const float keep = std::exp(running->maximum - merged), take = std::exp(maximum - merged);
    for (int64_t i = begin; i < end; ++i) out[i] = out[i] * keep + partial[i] * take;
    running->sum = running->sum * keep + sum * take;
    running->maximum = merged;
}

void finish(const Running& running, int64_t begin, int64_t end, float* out) {
    for (int64_t i = begin; i < end && running.sum != 0; ++i) out[i] /= running.sum;
}

}  // namespace

void attention(const AttentionArgs& a) {
    const int32_t heads = a.head_end - a.head_begin;
    for (int32_t r = 0; r < a.tokens * heads; ++r) {
        const int32_t t = r / heads;
        const int64_t row = t * a.stride + int64_t{a.head_begin + r % heads} * a.dim;
        const Positions seen = {a.first[t], a.last[t]};
        float *weights = a.scratch, *acc = a.scratch + kAttentionBlock;
        if (a.partial) {
            for (int32_t i = 0; i < a.blocks; ++i) {
                block(a, a.q + row, block_positions(seen, a.block + i), weights,
                      a.partial + i * a.partial_floats + r * row_floats(a.dim));
            }
            continue;
        }
        Running running;
        for (int i = 0; i < a.dim; ++i) a.out[row + i] = 0;
        for (int32_t b = seen.begin / kAttentionBlock; b * kAttentionBlock < seen.end; ++b) {
            block(a, a.q + row, block_positions(seen, b), weights, acc);
            merge(acc, a.dim, 0, a.dim, &running, a.out + row);
        }
        finish(running, 0, a.dim, a.out + row);
    }
}

void attention_merge(const AttentionMergeArgs& a) {
    const int32_t heads = a.head_end - a.head_begin;
    for (int32_t r = 0; r < a.tokens * heads; ++r) {
        float* out = a.out + r / heads * a.stride + int64_t{a.head_begin + r % heads} * a.dim;
        Running running;
        for (int64_t i = a.dim_begin; i < a.dim_end; ++i) out[i] = 0;
        for (int32_t b = 0; b < a.count; ++b) {
            merge(a.partials + b * a.partial_floats + r * row_floats(a.dim), a.dim, a.dim_begin, a.dim_end, &running, out);
        }
        finish(running, a.dim_begin, a.dim_end, out);
    }
}

}  // namespace lapidary::kernels::ref
