// Attention of a tile: query rows (tokens times the heads of one kv head) lie across the lanes of vectors, so that
// a cache row is converted once and used by all of them, and no sum ever runs across lanes. Generic in Math, which
// says how values are packed, converted and multiplied; the steps on vectors are in attention_lanes.inl.
namespace {

// V is a vector of floats, N of them a group of rows that passes over G cache rows or G values at a time.
template <class Math, class V, int N, int G>
class Tile {
    static_assert(G <= kKeyGroup && kValuePanel % G == 0);
    static constexpr int64_t kSize = V::size, kWidth = N * kSize;
    static constexpr int64_t kScores = (kAttentionBlock + kKeyGroup) * kWidth;  // of one group
    // Rows that fill no vector (a token's heads in a sliding layer): keys or values take the lanes (attention_few.inl).
    static constexpr bool kFew = kWidth == 4;

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
            const int32_t last = block_positions(all, a.block + a.blocks - 1).end;
            for (int32_t i = 0; i < a.blocks; ++i) {
                float *acc = a.partial + i * a.partial_floats, *sums = acc + attention_acc_floats(dim_, rows_);
                attend_block(a, block_positions(all, a.block + i), i == 0, last, acc, sums, sums + lanes_);
            }
            return;
        }
        begin_merge();
        const int32_t first = all.begin / kAttentionBlock;
        for (int32_t b = first; b * kAttentionBlock < all.end; ++b) {
            attend_block(a, block_positions(all, b), b == first, all.end, s_.acc, state(2), state(3));
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
        for (const int64_t half : {int64_t{0}, dim_ / 2}) {
            int64_t i = half;
            for (; i < half + a.key_pairs; ++i) s_.values[i] = q[i];
            for (; i < half + dim_ / 2; ++i) s_.values[i] = q[i] * a.key_weight[i];
        }
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
    // position, whatever comes first in this tile: a position before `p.begin` may join them, hidden.
    // Memory is asked for while others are multiplied: in a call's first block and in tiles of several vectors all rows
    // with the scores, otherwise what the next block's scores read with this one's values. `last` ends the call, and what
    // is asked for; the block does not.
    void attend_block(const AttentionArgs& a, Positions p, bool is_first, int last, float* acc, float* maximum, float* sum) {
        const bool all_rows = is_first || N > 1;
        const int begin = p.begin / Math::kPacked * Math::kPacked;
        const int count = p.end > p.begin ? p.end - begin : 0;
        if constexpr (kFew) {
            rows_ <= 2 ? few_scores<2>(a, p.begin, begin, count, last, all_rows)
                       : few_scores<4>(a, p.begin, begin, count, last, all_rows);
        } else {
            scores(a, p.begin, begin, count, last, all_rows);
        }
        weights(a, begin, count, maximum, sum);
        // Of a pair only one row may be there: its neighbour's weight is zero, and it stands for both.
        KvRow rows[kAttentionBlock + Math::kPacked];
        KvCursor cursor;
        for (int i = 0; i < count; ++i) rows[i] = value_row(a, &cursor, begin + i < p.begin ? p.begin : begin + i);
        if (count > 0) rows[count] = rows[count - 1];
        if constexpr (N > 1) {
            values(a.format, rows, count, acc);
        } else {
            few_values(a, &cursor, rows, begin + count, count, last, acc);
        }
    }

    // The last group of keys may hold old rows behind `count`: nobody reads their scores.
    template <int R>
    void few_scores(const AttentionArgs& a, int first, int begin, int count, int last, bool all_rows) {
        constexpr int kKeys = static_cast<int>(kFewKeys);
        KvCursor cursor, ahead;
        for (int p = 0; p < count; p += kKeys) {
            for (int i = p; i < p + kKeys && i < count; ++i) {
                if (begin + i < first) continue;
                if (begin + i + kKeys < last) prefetch(a, &ahead, begin + i + kKeys, all_rows);
                const KvRow key = key_row(a, &cursor, begin + i), value = value_row(a, &cursor, begin + i);
                convert_keys(a, &key, &value, 1, 0, dim_, s_.few + (i - p) * row_floats_, 0);
            }
            multiply_keys<Math, R>(s_.q, s_.few, row_floats_, units_, s_.scores + p * kWidth);
        }
    }

    // Values straight from the cache, a lane for each.
    void few_values(const AttentionArgs& a, KvCursor* cursor, const KvRow* rows, int next, int count, int last, float* acc) {
        const int units = (count + Math::kPacked - 1) / Math::kPacked;
        const auto multiply_rows = [&](auto count_of_rows) {
            constexpr int R = decltype(count_of_rows)::value;
            Ahead ahead;
            const int64_t steps = units * dim_ / (kValueVectors<R> * kLanes);
            if (next < last) ahead = next_block(a, cursor, next, last, steps > 0 ? steps : 1);
            multiply_all_values<Math, R>(a.format, s_.scores, kWidth, rows, units, dim_, ahead, s_.values, acc);
        };
        if constexpr (kFew) {
            if (rows_ <= 2) return multiply_rows(Rows<2>());
        }
        multiply_rows(Rows<kWidth>());
    }
    // Where the rows lie that the next block's scores mostly read, in `steps` steps, one or more.
    Ahead next_block(const AttentionArgs& a, KvCursor* cursor, int position, int last, int64_t steps) const {
        const bool from_values = a.key_pairs > 0;
        const KvRow row = from_values ? value_row(a, cursor, position) : key_row(a, cursor, position);
        const KvRun& run = a.runs[cursor->run];
        const int end = last < position + kAttentionBlock ? last : position + kAttentionBlock;
        const int64_t count = (run.position + run.count < end ? run.position + run.count : end) - position;
        const int64_t bytes = count * (from_values ? a.row_bytes.v : a.row_bytes.k);
        return {row.values, (bytes + steps - 1) / steps};
    }
    template <int64_t R>
    struct Rows {
        static constexpr int value = static_cast<int>(R);
    };

    // Keys are converted and multiplied piece by piece, more of them than registers have sums where several vectors of
    // queries are wanted from the first cache; meanwhile the next are asked for, a few rows at a time.
    void scores(const AttentionArgs& a, int first, int begin, int count, int last, bool all_rows) {
        constexpr int kKeys = N > 1 ? static_cast<int>(kKeyGroup) : G;
        float* const keys = s_.keys + 4 * row_floats_;
        KvCursor cursor, ahead;
        for (int p = 0; p < count; p += kKeys) {
            KvRow key[kKeys], value[kKeys];
            const int from = begin + p < first ? first - begin - p : 0, to = count - p < kKeys ? count - p : kKeys;
            for (int g = from; g < to; ++g) {
                key[g] = key_row(a, &cursor, begin + p + g);
                value[g] = value_row(a, &cursor, begin + p + g);
            }
            int next = p + kKeys;
            for (int64_t u = 0; u < units_; u += kKeyPiece) {
                const int64_t end = u + kKeyPiece < units_ ? u + kKeyPiece : units_;
                convert_keys(a, key + from, value + from, to - from, u * Math::kPacked, end * Math::kPacked,
                             keys + from * kKeyPieceFloats, kKeyPieceFloats);
                for (int g = 0; g < to; g += G) {
                    const int64_t done = (end - u) * (g + G) + u * kKeys;  // of units_ times kKeys
                    for (; begin + next < last && (next - p - kKeys) * units_ < done; ++next)
                        prefetch(a, &ahead, begin + next, all_rows);
                    for (int64_t i = 0; i < groups_; ++i) {
                        multiply<Math, V, N, G>(s_.q + (i * units_ + u) * kWidth, keys + g * kKeyPieceFloats, 1, kKeyPieceFloats,
                                                end - u, u > 0, s_.scores + i * kScores + (p + g) * kWidth);
                    }
                }
            }
        }
    }

    // Ask for the rows of a position before they are needed: they are too short for the processor to foresee the next.
    // Not all: what no other block's values have asked for.
    void prefetch(const AttentionArgs& a, KvCursor* cursor, int position, bool all_rows) const {
        const int64_t width = kv_value_bytes(a.format);
        if (all_rows || a.key_pairs > 0)
            prefetch_row(key_row(a, cursor, position), (a.key_pairs > 0 ? 2 * a.key_pairs : dim_) * width);
        if (all_rows || a.key_pairs == 0) prefetch_row(value_row(a, cursor, position), dim_ * width);
    }
    static void prefetch_row(const KvRow& row, int64_t bytes) {
        for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(row.values + i, 0, 2);
    }

    // Values [i, end) of keys as they stand in the cache, or put together from their rotated values and the values of the
    // same positions, `step` floats apart. Ascending: what is written past the end of a piece is overwritten.
    void convert_keys(const AttentionArgs& a, const KvRow* keys, const KvRow* values, int count, int64_t i, int64_t end,
                      float* out, int64_t step) const {
        if (a.key_pairs == 0) return Math::convert_keys(a.format, keys, count, i, end, out, step);
        const int64_t pairs = a.key_pairs, half = dim_ / 2;
        while (i < end) {
            const int64_t begin = i < half ? 0 : half;
            const bool rotated = i - begin < pairs;
            const int64_t stop = begin + (rotated ? pairs : half), to = stop < end ? stop : end;
            const int64_t shift = rotated && begin > 0 ? pairs - half : 0;
            Math::convert_keys(a.format, rotated ? keys : values, count, i + shift, to + shift, out, step);
            out += (to - i) / Math::kPacked;
            i = to;
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

    // A panel of values after the other; it is converted for some positions, and stays in the first cache.
    void values(KvFormat format, const KvRow* rows, int count, float* acc) {
        const int64_t units = (count + Math::kPacked - 1) / Math::kPacked;
        for (int64_t panel = 0; panel < dim_; panel += kValuePanel) {
            const int64_t end = panel + kValuePanel < dim_ ? panel + kValuePanel : dim_;
            int64_t u = 0;
            do {
                const int64_t some = units - u < kValueChunk ? units - u : kValueChunk;
                Math::convert_values(format, rows + u * Math::kPacked, static_cast<int>(some), panel, end, s_.values, kValuePanel);
                for (int64_t v = panel; v < end; v += G) {
                    for (int64_t i = 0; i < groups_; ++i) {
                        multiply<Math, V, N, G>(s_.scores + i * kScores + u * kWidth, s_.values + (v - panel), kValuePanel, 1,
                                                some, u > 0, acc + i * group_acc_ + v * kWidth);
                    }
                }
                u += some;
            } while (u < units);
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
    if (rows <= kLaneCount) return run(Tile<Math, F, 1, kWideRegisters ? 24 : 12>(scratch, dim, tokens, heads));
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
