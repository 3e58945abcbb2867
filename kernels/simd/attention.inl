// Attention of one token. The cache rows of one kv head are expanded to f32 once and used for all its query
// heads. Blocks of 256 absolute positions merge in ascending order (the contract in kernels.h).
namespace {

// A maximum and the sum of e^(s - maximum).
struct SoftmaxSum {
    float maximum, sum;
};
struct HeadState {
    SoftmaxSum running, block;
};

// One query head: scores of the current block, its accumulator, and the merged result (in `out`).
struct Head {
    const float* q;   // [dim]
    float* out;       // [dim]
    float* weights;   // [256]
    float* acc;       // [padded dim]
    float* merged;    // [padded dim]
    HeadState* state;
};

struct Work {
    const AttentionArgs& a;
    int64_t padded;  // dim in whole vectors of 16
    float* rows;     // [kExpandedRows][padded]
    float* heads;    // one slice of scratch per head

    explicit Work(const AttentionArgs& args) : a(args), padded(attention_padded_dim(args.dim)), rows(args.scratch) {
        heads = rows + kExpandedRows * padded;
    }
    Head head(int h) const {
        float* at = heads + int64_t{h - a.head_begin} * (kAttentionBlock + 2 * padded + 16);
        const int64_t q = int64_t{h} * a.dim;
        return {a.q + q, a.out + q, at, at + kAttentionBlock, at + kAttentionBlock + padded,
                reinterpret_cast<HeadState*>(at + kAttentionBlock + 2 * padded)};
    }
};

// One cache row of one head as f32; the padding stays as it is (zero).
void expand_kv(KvFormat format, const KvRow& row, int64_t dim, float* out) {
    if (format == KvFormat::f32) {
        memcpy(out, row.values, static_cast<size_t>(dim) * sizeof(float));
    } else if (format == KvFormat::f16) {
        int64_t i = 0;
        for (; i + kLanes <= dim; i += kLanes) load_half(row.values + 2 * i).store_aligned(out + i);
        for (; i < dim; ++i) out[i] = half_to_float(load_u16(row.values + 2 * i));
    } else {
        for (int64_t i = 0; i < dim; i += kLanes) {  // dim is a multiple of 32, hence of kLanes
            const F scale(half_to_float(load_u16(row.scales + i / kKvScaleBlock * 2)));
            (load_bytes(reinterpret_cast<const int8_t*>(row.values) + i) * scale).store_aligned(out + i);
        }
    }
}

float dot(const float* q, const float* row, int64_t dim) {
    F sums[4] = {F(0.0f), F(0.0f), F(0.0f), F(0.0f)};
    int64_t i = 0;
    for (; i + 4 * kLanes <= dim; i += 4 * kLanes) {
        LAP_UNROLL
        for (int j = 0; j < 4; ++j) {
            sums[j] = fused(F::load_unaligned(q + i + j * kLanes), F::load_aligned(row + i + j * kLanes), sums[j]);
        }
    }
    for (; i < dim; i += kLanes) sums[0] = fused(load(q + i, dim - i), F::load_aligned(row + i), sums[0]);
    return xsimd::hadd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// Scores to weights e^(s - maximum), in place.
SoftmaxSum exponentials(float* scores, int count) {
    constexpr float kLowest = -__builtin_inff();
    for (int i = count; i % kLanes != 0; ++i) scores[i] = kLowest;
    F largest(kLowest);
    for (int i = 0; i < count; i += kLanes) largest = xsimd::max(largest, F::load_aligned(scores + i));
    alignas(64) float lanes[kLanes];
    largest.store_aligned(lanes);
    float maximum = kLowest;
    for (float lane : lanes) maximum = lane > maximum ? lane : maximum;
    F sum(0.0f);
    for (int i = 0; i < count; i += kLanes) {
        const F weight = xsimd::exp(F::load_aligned(scores + i) - F(maximum));
        weight.store_aligned(scores + i);
        sum += weight;
    }
    return {maximum, xsimd::hadd(sum)};
}

// acc += weights[0..kRows) * rows, ascending: the same chain whether four rows come at once or one.
template <int kRows>
void accumulate(const float* weights, const float* rows, int64_t padded, float* acc) {
    for (int64_t i = 0; i < padded; i += kLanes) {
        F sum = F::load_aligned(acc + i);
        LAP_UNROLL
        for (int r = 0; r < kRows; ++r) {
            sum = fused(F(weights[r]), F::load_aligned(rows + r * padded + i), sum);
        }
        sum.store_aligned(acc + i);
    }
}

void scores(const Work& w, int kv_head, int h_begin, int h_end, KvCursor* cursor, int begin, int end) {
    for (int p = begin; p < end; ++p) {
        expand_kv(w.a.format, key_row(w.a, cursor, p, kv_head), w.a.dim, w.rows);
        for (int h = h_begin; h < h_end; ++h) {
            const Head head = w.head(h);
            head.weights[p - begin] = dot(head.q, w.rows, w.a.dim);
        }
    }
}

void values(const Work& w, int kv_head, int h_begin, int h_end, KvCursor* cursor, int begin, int end) {
    for (int p = begin; p < end;) {
        const int rows = end - p >= kExpandedRows ? kExpandedRows : 1;
        for (int r = 0; r < rows; ++r) {
            expand_kv(w.a.format, value_row(w.a, cursor, p + r, kv_head), w.a.dim, w.rows + r * w.padded);
        }
        for (int h = h_begin; h < h_end; ++h) {
            const Head head = w.head(h);
            if (rows == kExpandedRows) {
                accumulate<kExpandedRows>(head.weights + p - begin, w.rows, w.padded, head.acc);
            } else {
                accumulate<1>(head.weights + p - begin, w.rows, w.padded, head.acc);
            }
        }
        p += rows;
    }
}

// Merges the block into the running result: both are rescaled to the larger maximum.
void merge(const Work& w, const Head& head) {
    SoftmaxSum& running = head.state->running;
    const SoftmaxSum block = head.state->block;
    const float maximum = block.maximum > running.maximum ? block.maximum : running.maximum;
    alignas(64) float factors[kLanes] = {running.maximum - maximum, block.maximum - maximum};
    xsimd::exp(F::load_aligned(factors)).store_aligned(factors);
    running = {maximum, running.sum * factors[0] + block.sum * factors[1]};
    const F keep(factors[0]), take(factors[1]);
    for (int64_t i = 0; i < w.padded; i += kLanes) {
        const F merged = F::load_aligned(head.merged + i) * keep;
        fused(F::load_aligned(head.acc + i), take, merged).store_aligned(head.merged + i);
    }
}

void clear(float* p, int64_t n) {
    for (int64_t i = 0; i < n; i += kLanes) F(0.0f).store_aligned(p + i);
}

// One block of all heads of one kv head: scores, weights, weighted values, merge.
void attend_block(const Work& w, int kv_head, int h_begin, int h_end, KvCursor* keys, KvCursor* vals, int begin,
                  int end) {
    scores(w, kv_head, h_begin, h_end, keys, begin, end);
    for (int h = h_begin; h < h_end; ++h) {
        const Head head = w.head(h);
        head.state->block = exponentials(head.weights, end - begin);
        clear(head.acc, w.padded);
    }
    values(w, kv_head, h_begin, h_end, vals, begin, end);
    for (int h = h_begin; h < h_end; ++h) merge(w, w.head(h));
}

// Query heads [h_begin, h_end), all of one kv head.
void kv_head_attention(const Work& w, int kv_head, int h_begin, int h_end) {
    for (int h = h_begin; h < h_end; ++h) {
        clear(w.head(h).merged, w.padded);
        w.head(h).state->running = {-__builtin_inff(), 0.0f};
    }
    KvCursor keys, vals;
    for (int begin = w.a.first; begin < w.a.last;) {
        const int end = attention_block_end(begin, w.a.last);
        attend_block(w, kv_head, h_begin, h_end, &keys, &vals, begin, end);
        begin = end;
    }
    for (int h = h_begin; h < h_end; ++h) {
        const Head head = w.head(h);
        const F inverse(w.a.last > w.a.first ? 1.0f / head.state->running.sum : 0.0f);
        for_lanes(w.a.dim, [=](int64_t i, int64_t left) {
            store(F::load_aligned(head.merged + i) * inverse, head.out + i, left);
        });
    }
}

}  // namespace

void attention(const AttentionArgs& a) {
    const Work w(a);
    clear(w.rows, kExpandedRows * w.padded);
    const int group = a.heads / a.kv_heads;
    for (int h = a.head_begin; h < a.head_end;) {
        const int next = (h / group + 1) * group;
        const int end = next < a.head_end ? next : a.head_end;
        kv_head_attention(w, h / group, h, end);
        h = end;
    }
}
