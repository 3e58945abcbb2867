// Attention in f32: cache rows of every format are expanded to floats. Instance of attention.inl.
namespace {

// Values [i, end) of one cache row of one head as f32; what lies behind them stays as it is.
void expand_kv(KvFormat format, KvRow row, int64_t i, int64_t end, float* out) {
    const uint8_t *const values = row.values, *const scales = row.scales;
    if (format == KvFormat::f32) {
        memcpy(out, values + 4 * i, static_cast<size_t>(end - i) * sizeof(float));
    } else if (format == KvFormat::f16) {
        for (; i + 4 * kLanes <= end; i += 4 * kLanes, out += 4 * kLanes) {
            LAP_UNROLL
            for (int n = 0; n < 4; ++n) load_half(values + 2 * (i + n * kLanes)).store_unaligned(out + n * kLanes);
        }
        for (; i + kLanes <= end; i += kLanes, out += kLanes) load_half(values + 2 * i).store_unaligned(out);
        for (; i < end; ++i) *out++ = half_to_float(load_u16(values + 2 * i));
    } else {
        for (; i < end; i += kKvScaleBlock, out += kKvScaleBlock) {  // multiples of 32
            const F scale(half_to_float(load_u16(scales + i / kKvScaleBlock * 2)));
            LAP_UNROLL
            for (int n = 0; n < kKvScaleBlock; n += kLanes)
                (load_bytes(reinterpret_cast<const int8_t*>(values) + i + n) * scale).store_unaligned(out + n);
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
    static void convert_values(KvFormat format, const KvRow* rows, int count, int64_t begin, int64_t end, float* out,
                               int64_t step) {
        for (int r = 0; r < count; ++r) expand_kv(format, rows[r], begin, end, out + r * step);
    }
    static void convert_keys(KvFormat format, const KvRow* rows, int count, int64_t begin, int64_t end, float* out,
                             int64_t step) {
        convert_values(format, rows, count, begin, end, out, step);
    }
    // Calls body with what loads a vector of values from value i of a row on.
    template <class Body>
    static void with_values(KvFormat format, Body body) {
        if (format == KvFormat::f32) {
            body([](const KvRow* row, int64_t i) LAP_INLINE_LAMBDA {
                return F::load_unaligned(reinterpret_cast<const float*>(row->values) + i);
            });
        } else if (format == KvFormat::f16) {
            body([](const KvRow* row, int64_t i) LAP_INLINE_LAMBDA { return load_half(row->values + 2 * i); });
        } else {
            body([](const KvRow* row, int64_t i) LAP_INLINE_LAMBDA {
                const F scale = half_lanes(I(load_u16(row->scales + i / kKvScaleBlock * 2)));
                return load_bytes(reinterpret_cast<const int8_t*>(row->values) + i) * scale;
            });
        }
    }
    template <class V>
    LAP_INLINE static V pack(const V* weights, V* total) {
        *total += weights[0];
        return weights[0];
    }
};

}  // namespace

void attention(const AttentionArgs& a) { attend_tile<FloatMath>(a); }
void attention_merge(const AttentionMergeArgs& a) { merge_tile<FloatMath>(a); }
