// Attention of a tile: query rows (tokens times the heads of one kv head) lie across the lanes of vectors, so that
// a cache row is converted once and used by all of them, and no sum ever runs across lanes. Generic in Math, which
// says how values are packed, converted and multiplied; the steps on vectors are in attention_lanes.inl.
namespace {

// V is a vector of floats, N of them a group of rows that passes over G cache rows or G values at a time.
template <class Math, class V, int N, int G>
class Tile {
    static_assert(G <= kKeyGroup);
    static constexpr int64_t kSize = V::size, kWidth = N * kSize;
    static constexpr int64_t kScores = (kAttentionBlock + kKeyGroup) * kWidth;  // of one group
    static constexpr int kChunk = static_cast<int>(kValueChunk) * Math::kPacked;
    // Rows that fill no vector (a token's heads in a sliding layer): keys or values take the lanes instead.
    static constexpr bool kFew = Math::kPacked == 1 && kWidth == 4;

  public:
    Tile(float* scratch, int64_t dim, int32_t tokens, int32_t heads)
        : dim_(dim),
          heads_(heads),
          rows_(tokens * heads),
          groups_((rows_ + kWidth - 1) / kWidth),
          units_(dim / Math::kPacked),
          row_floats_(attention_row_floats(dim)),
          group_acc_((dim + G - 1) / G * G * kWidth),
          lanes_(groups_ * kWidth),
          s_(attention_scratch(scratch, dim, rows_)) {}

    void attend(const AttentionArgs& a) {
        const Positions all = visible_positions(a);
        load_queries(a);
        if (a.partial) {
            float* sums = a.partial + attention_acc_floats(dim_, rows_);
            attend_block(a, block_positions(all, a.block), a.partial, sums, sums + lanes_);
            return;
        }
        begin_merge();
        for (int32_t b = all.begin / kAttentionBlock; b * kAttentionBlock < all.end; ++b) {
            attend_block(a, block_positions(all, b), s_.acc, state(2), state(3));
            merge(s_.acc, state(2), state(3), 0, dim_);
        }
        finish(a.out, a.stride, a.head_begin, 0, dim_);
    }

    void merge_partials(const AttentionMergeArgs& a) {
        begin_merge();
        for (int32_t i = 0; i < a.count; ++i) {
            const float* acc = a.partials + i * a.partial_floats;
            const float* sums = acc + attention_acc_floats(dim_, rows_);
            merge(acc, sums, sums + lanes_, a.dim_begin, a.dim_end);
        }
        finish(a.out, a.stride, a.head_begin, a.dim_begin, a.dim_end);
    }

  private:
    // [lanes] each: 0 and 1 the running maximum and sum, 2 and 3 those of a block, 4 and 5 visible ranges.
    float* state(int i) const { return s_.state + i * lanes_; }

    float* lane(float* groups, int64_t group_floats, int32_t r) const {
        return groups + r / kWidth * group_floats + r % kWidth;
    }
    int64_t offset(int32_t r, int64_t stride, int32_t head_begin) const {
        return r / heads_ * stride + (head_begin + r % heads_) * dim_;
    }

    // The query that is multiplied with cached rows: it carries the key weight where a key is taken from a value.
    const float* query(const AttentionArgs& a, int32_t r) const {
        const float* q = a.q + offset(r, a.stride, a.head_begin);
        if (a.key_pairs == 0) return q;
        for (int64_t i = 0; i < dim_; ++i) s_.values[i] = i % (dim_ / 2) < a.key_pairs ? q[i] : q[i] * a.key_weight[i];
        return s_.values;
    }

    void load_queries(const AttentionArgs& a) {
        constexpr int32_t kTogether = 4;  // rows that are neighbours in a group
        static_assert(kWidth % kTogether == 0 && kTogether <= kKeyGroup);
        for (int64_t i = 0; i < kTogether * row_floats_; ++i) s_.keys[i] = 0.0f;
        for (int32_t r = 0; r < lanes_; r += kTogether) {
            for (int32_t i = 0; i < kTogether && r + i < rows_; ++i) {
                Math::pack_query(query(a, r + i), dim_, s_.keys + i * row_floats_);
            }
            float* to = lane(s_.q, units_ * kWidth, r);
            for (int64_t u = 0; u < units_; ++u) {
                for (int32_t i = 0; i < kTogether; ++i) to[u * kWidth + i] = s_.keys[i * row_floats_ + u];
            }
        }
    }

    // One block: its accumulator, maximum and sum per row. Values that are multiplied together are so by absolute
    // position, whatever comes first in this tile: a position before `p.begin` may join them, hidden and as zero.
    void attend_block(const AttentionArgs& a, Positions p, float* acc, float* maximum, float* sum) {
        for (int64_t i = 0; i < groups_ * group_acc_; ++i) acc[i] = 0.0f;
        const int begin = p.begin / Math::kPacked * Math::kPacked;
        const int count = p.end > p.begin ? p.end - begin : 0;
        if constexpr (kFew) {
            if (rows_ <= 2) return attend_few<2>(a, begin, count, acc, maximum, sum);
            return attend_few<4>(a, begin, count, acc, maximum, sum);
        }
        scores(a, p.begin, begin, count);
        weights(a, begin, count, maximum, sum);
        values(a, p.begin, begin, count, acc);
    }

    // The same sums in the same order; R: rows, rounded up. The last group of keys may hold old rows behind `count`:
    // nobody reads their scores.
    template <int R>
    void attend_few(const AttentionArgs& a, int begin, int count, float* acc, float* maximum, float* sum) {
        constexpr int kKeys = Math::kFewKeys, kValues = Math::kFewValues;
        KvCursor cursor, ahead;
        for (int p = 0; p < count; p += kKeys) {
            for (int i = p; i < p + kKeys && i < count; ++i) {
                if (i + kKeys < count) prefetch_key(a, &ahead, begin + i + kKeys);
                convert_key(a, &cursor, begin + i, s_.values + (i - p) * row_floats_);
            }
            Math::template multiply_keys<R>(s_.q, s_.values, row_floats_, dim_, s_.scores + p * kWidth);
        }
        weights(a, begin, count, maximum, sum);
        float* sums = s_.keys;  // [R][values]
        for (int64_t i = 0; i < R * row_floats_; ++i) sums[i] = 0.0f;
        cursor = ahead = {};
        for (int p = 0; p < count; p += kValues) {
            const int n = p + kValues < count ? kValues : count - p;
            for (int i = 0; i < n; ++i) {
                if (p + i + kKeys < count) prefetch_value<3>(a, &ahead, begin + p + i + kKeys);
                const KvRow row = value_row(a, &cursor, begin + p + i);
                Math::convert_values(a.format, &row, dim_, s_.values + i * row_floats_);
            }
            Math::template multiply_values<R>(s_.scores + p * kWidth, s_.values, row_floats_, n, dim_, sums);
        }
        for (int64_t v = 0; v < dim_; ++v)
            for (int r = 0; r < R; ++r) acc[v * kWidth + r] = sums[r * row_floats_ + v];
    }

    void scores(const AttentionArgs& a, int first, int begin, int count) {
        KvCursor cursor, ahead;
        for (int p = 0; p < count; p += G) {
            for (int g = 0; g < G && p + g < count; ++g) {
                if (begin + p + g < first) continue;
                convert_key(a, &cursor, begin + p + g, s_.keys + g * row_floats_);
            }
            for (int g = G; g < 2 * G && p + g < count; ++g) {
                prefetch_key(a, &ahead, begin + p + g);
                prefetch_value<2>(a, &ahead, begin + p + g);
            }
            for (int64_t i = 0; i < groups_; ++i) {
                multiply<Math, V, N, G, false>(s_.q + i * units_ * kWidth, s_.keys, 1, row_floats_, units_,
                                               s_.scores + i * kScores + p * kWidth);
            }
        }
    }

    // Ask for the key and the value of a position, before they are converted: a row is too short for the processor
    // to foresee the next. The value is only needed when all scores of the block are there.
    void prefetch_key(const AttentionArgs& a, KvCursor* cursor, int position) const {
        const int64_t bytes = (a.key_pairs > 0 ? 2 * a.key_pairs : dim_) * kv_value_bytes(a.format);
        const uint8_t* row = key_row(a, cursor, position).values;
        for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i);
    }
    template <int kLocality>  // of __builtin_prefetch: 3 all caches, 2 the second level
    void prefetch_value(const AttentionArgs& a, KvCursor* cursor, int position) const {
        const int64_t bytes = dim_ * kv_value_bytes(a.format);
        const uint8_t* row = value_row(a, cursor, position).values;
        for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i, 0, kLocality);
    }

    // A key as it stands in the cache, or put together from its rotated values and the values of the same position.
    void convert_key(const AttentionArgs& a, KvCursor* cursor, int position, float* out) const {
        const KvRow key = key_row(a, cursor, position);
        if (a.key_pairs == 0) return Math::convert_key(a.format, key, 0, dim_, out);
        const KvRow value = value_row(a, cursor, position);
        const int64_t pairs = a.key_pairs, half = dim_ / 2;
        for (int64_t i = 0; i < 2; ++i) {  // ascending: what is written past the end of a piece is overwritten
            Math::convert_key(a.format, key, i * pairs, (i + 1) * pairs, out + i * half / Math::kPacked);
            Math::convert_key(a.format, value, i * half + pairs, (i + 1) * half, out + (i * half + pairs) / Math::kPacked);
        }
    }

    void weights(const AttentionArgs& a, int begin, int count, float* maximum, float* sum) {
        bool edges = false;
        for (int32_t t = 0; t < a.tokens; ++t) edges |= a.first[t] > begin || a.last[t] < begin + count;
        for (int64_t r = 0; r < lanes_ && edges; ++r) {
            const int64_t t = r < rows_ ? r / heads_ : 0;
            state(4)[r] = static_cast<float>(a.first[t] - begin);
            state(5)[r] = static_cast<float>(a.last[t] - begin);
        }
        for (int64_t lane = 0; lane < lanes_; lane += kSize) {
            const int64_t group = lane / kWidth, within = lane % kWidth;
            float* group_scores = s_.scores + group * kScores;
            if (edges) hide<V>(group_scores, kWidth, within, count, state(4) + group * kWidth, state(5) + group * kWidth);
            exponentials<Math, V>(group_scores, kWidth, within, count, maximum + group * kWidth, sum + group * kWidth);
        }
    }

    void values(const AttentionArgs& a, int first, int begin, int count, float* acc) {
        KvCursor cursor;
        for (int chunk = 0; chunk < count; chunk += kChunk) {
            const int end = chunk + kChunk < count ? chunk + kChunk : count;
            int64_t units = 0;
            for (int p = chunk; p < end; p += Math::kPacked, ++units) {
                KvRow rows[Math::kPacked] = {};
                for (int i = 0; i < Math::kPacked; ++i) {
                    const int position = begin + p + i;
                    if (position >= first && p + i < end) rows[i] = value_row(a, &cursor, position);
                }
                Math::convert_values(a.format, rows, dim_, s_.values + units * row_floats_);
            }
            for (int64_t v = 0; v < dim_; v += G) {
                for (int64_t i = 0; i < groups_; ++i) {
                    multiply<Math, V, N, G, true>(s_.scores + i * kScores + chunk / Math::kPacked * kWidth,
                                                  s_.values + v, row_floats_, 1, units,
                                                  acc + i * group_acc_ + v * kWidth);
                }
            }
        }
    }

    void begin_merge() {
        for (int64_t i = 0; i < lanes_; ++i) state(0)[i] = -3.40282347e38f;
        for (int64_t i = 0; i < lanes_; ++i) state(1)[i] = 0.0f;
        for (int64_t i = 0; i < groups_ * group_acc_; ++i) s_.merged[i] = 0.0f;
    }

    void merge(const float* acc, const float* maximum, const float* sum, int64_t begin, int64_t end) {
        for (int64_t lane = 0; lane < lanes_; lane += kSize) {
            const int64_t at = lane / kWidth * group_acc_ + lane % kWidth;
            V keep, take;
            merge_sums(maximum + lane, sum + lane, state(0) + lane, state(1) + lane, &keep, &take);
            for (int64_t v = begin; v < end; ++v) {
                merge_values(acc + at + v * kWidth, s_.merged + at + v * kWidth, keep, take);
            }
        }
    }

    // Values [begin, end) of every row, divided by the sum of its weights. A row that saw nothing is zero.
    void finish(float* out, int64_t stride, int32_t head_begin, int64_t begin, int64_t end) {
        constexpr int64_t kStep = 16;  // so many values of all rows at a time, for the cache's sake
        for (int64_t i = 0; i < lanes_; ++i) state(1)[i] = state(1)[i] == 0.0f ? 0.0f : 1.0f / state(1)[i];
        for (int64_t from = begin; from < end; from += kStep) {
            const int64_t to = from + kStep < end ? from + kStep : end;
            for (int32_t r = 0; r < rows_; ++r) {
                const float* merged = lane(s_.merged, group_acc_, r);
                float* row = out + offset(r, stride, head_begin);
                for (int64_t v = from; v < to; ++v) row[v] = merged[v * kWidth] * state(1)[r];
            }
        }
    }

    const int64_t dim_;
    const int32_t heads_, rows_;
    const int64_t groups_, units_, row_floats_;
    const int64_t group_acc_, lanes_;
    const AttentionScratch s_;
};

// The narrowest vectors that hold the rows, so that two rows do not pay for sixteen: calls body with the Tile.
template <class Math, class Body>
void with_tile(float* scratch, int64_t dim, int32_t tokens, int32_t heads, Body body) {
    const int32_t rows = tokens * heads;
    const auto run = [&](auto tile) { body(tile); };
    constexpr int32_t kLaneCount = static_cast<int32_t>(kLanes);
    if constexpr (kLaneCount > 4) {
        if (rows <= 4) return run(Tile<Math, F4, 1, 12>(scratch, dim, tokens, heads));
    }
    if constexpr (kLaneCount > 8) {
        if (rows <= 8) return run(Tile<Math, F8, 1, 12>(scratch, dim, tokens, heads));
    }
    if (rows <= kLaneCount) return run(Tile<Math, F, 1, 12>(scratch, dim, tokens, heads));
    if constexpr (kWideRegisters) {
        if (rows <= 2 * kLaneCount) return run(Tile<Math, F, 2, 12>(scratch, dim, tokens, heads));
        if (rows <= 3 * kLaneCount && kLaneCount > 4) return run(Tile<Math, F, 3, 8>(scratch, dim, tokens, heads));
        return run(Tile<Math, F, 4, 6>(scratch, dim, tokens, heads));
    } else {
        return run(Tile<Math, F, 2, 6>(scratch, dim, tokens, heads));
    }
}

template <class Math>
void attend_tile(const AttentionArgs& a) {
    with_tile<Math>(a.scratch, a.dim, a.tokens, a.head_end - a.head_begin, [&](auto& tile) { tile.attend(a); });
}
template <class Math>
void merge_tile(const AttentionMergeArgs& a) {
    with_tile<Math>(a.scratch, a.dim, a.tokens, a.head_end - a.head_begin, [&](auto& tile) { tile.merge_partials(a); });
}

}  // namespace
