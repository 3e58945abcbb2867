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
};

}  // namespace

void attention(const AttentionArgs& a) { attend_tile<FloatMath>(a); }
void attention_merge(const AttentionMergeArgs& a) { merge_tile<FloatMath>(a); }
