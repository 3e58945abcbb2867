// Attention in f32: cache rows of every format are expanded to floats. Instance of attention.inl.
namespace {

// Values [i, end) of one cache row of one head as f32; what lies behind them stays as it is.
void expand_kv(KvFormat format, const KvRow& row, int64_t i, int64_t end, float* out) {
    if (format == KvFormat::f32) {
        memcpy(out, row.values + 4 * i, static_cast<size_t>(end - i) * sizeof(float));
    } else if (format == KvFormat::f16) {
        for (; i + kLanes <= end; i += kLanes, out += kLanes) load_half(row.values + 2 * i).store_unaligned(out);
        for (; i < end; ++i) *out++ = half_to_float(load_u16(row.values + 2 * i));
    } else {
        for (; i < end; i += kLanes, out += kLanes) {  // multiples of 32, hence of kLanes
            const F scale(half_to_float(load_u16(row.scales + i / kKvScaleBlock * 2)));
            (load_bytes(reinterpret_cast<const int8_t*>(row.values) + i) * scale).store_unaligned(out);
        }
    }
}

struct FloatMath {
    static constexpr int kPacked = 1;

    template <class V>
    LAP_INLINE static V step(V x, V y, V sum) {
        return fused(x, y, sum);
    }
    static void pack_query(const float* q, int64_t dim, float* out) {
        memcpy(out, q, static_cast<size_t>(dim) * sizeof(float));
    }
    static void convert_key(KvFormat format, const KvRow& row, int64_t begin, int64_t end, float* out) {
        expand_kv(format, row, begin, end, out);
    }
    static void convert_values(KvFormat format, const KvRow* rows, int64_t dim, float* out) {
        expand_kv(format, rows[0], 0, dim, out);
    }
    template <class V>
    LAP_INLINE static V pack(const V* weights, V* total) {
        *total += weights[0];
        return weights[0];
    }

    // Sums over kCount values of 16 keys, a lane per key: sums [R][16] += q [kCount][4] times keys [16][row_floats].
    static constexpr int kFewKeys = 16;
    template <int R, int kCount, int kGroups>
    LAP_INLINE static void add_keys(const float* q, const float* keys, int64_t row_floats, F (&sums)[R][kGroups]) {
        LAP_UNROLL
        for (int g = 0; g < kGroups; ++g) {
            const auto* rows = reinterpret_cast<const uint8_t*>(keys + g * kLanes * row_floats);
            const Words four = load_words(rows, row_floats * 4);
            LAP_UNROLL
            for (int i = 0; i < kCount; ++i) {
                LAP_UNROLL
                for (int r = 0; r < R; ++r) sums[r][g] = fused(F(q[i * 4 + r]), bits_as_float(four.w[i]), sums[r][g]);
            }
        }
    }
    // scores [16 keys][4 rows] = q [dim][4] times keys [16][row_floats]; rows from R on are zero.
    template <int R>
    static void multiply_keys(const float* q, const float* keys, int64_t row_floats, int64_t dim, float* scores) {
        constexpr int kGroups = kFewKeys / kLanes;
        F sums[R][kGroups];
        for (auto& row : sums)
            for (F& sum : row) sum = F(0.0f);
        int64_t from = 0;
        for (; from + 4 <= dim; from += 4) add_keys<R, 4>(q + from * 4, keys + from, row_floats, sums);
        if (from < dim) add_keys<R, 2>(q + from * 4, keys + from, row_floats, sums);
        float lanes[R][kFewKeys];
        for (int r = 0; r < R; ++r)
            for (int g = 0; g < kGroups; ++g) sums[r][g].store_unaligned(lanes[r] + g * kLanes);
        for (int key = 0; key < kFewKeys; ++key)
            for (int r = 0; r < 4; ++r) scores[key * 4 + r] = r < R ? lanes[r][key] : 0.0f;
    }

    // sums [R][row_floats] += weights [count][4] times values [count][row_floats], a lane per value.
    static constexpr int kFewValues = 4;
    template <int R, int kCount>
    LAP_INLINE static void add_values(const float* weights, const float* values, int64_t row_floats, int64_t dim,
                                      float* sums) {
        for (int64_t v = 0; v < dim; v += kLanes) {
            LAP_UNROLL
            for (int r = 0; r < R; ++r) {
                float* at = sums + r * row_floats + v;
                F sum = F::load_unaligned(at);
                LAP_UNROLL
                for (int i = 0; i < kCount; ++i)
                    sum = fused(F(weights[i * 4 + r]), F::load_unaligned(values + i * row_floats + v), sum);
                sum.store_unaligned(at);
            }
        }
    }
    template <int R>
    static void multiply_values(const float* weights, const float* values, int64_t row_floats, int count, int64_t dim,
                                float* sums) {
        if (count == kFewValues) return add_values<R, kFewValues>(weights, values, row_floats, dim, sums);
        for (int i = 0; i < count; ++i) add_values<R, 1>(weights + i * 4, values + i * row_floats, row_floats, dim, sums);
    }
};

}  // namespace

void attention(const AttentionArgs& a) { attend_tile<FloatMath>(a); }
void attention_merge(const AttentionMergeArgs& a) { merge_tile<FloatMath>(a); }
