// The products of tiles whose rows fill no vector (the two heads of a token in a sliding layer): keys lie across the
// lanes instead; and values do wherever all rows of a tile fit beside them into registers. The same sums in the same
// order as in attention_lanes.inl. For attention.inl.
namespace {

// Sums over kCount units of 16 keys, a lane per key: sums [R][16] += q [kCount][4] times keys [16][row_floats].
template <class Math, int R, int kCount, int kGroups>
LAP_INLINE void add_keys(const float* q, const float* keys, int64_t row_floats, F (&sums)[R][kGroups]) {
    LAP_UNROLL
    for (int g = 0; g < kGroups; ++g) {
        const auto* rows = reinterpret_cast<const uint8_t*>(keys + g * kLanes * row_floats);
        const Words four = load_words(rows, row_floats * 4);
        LAP_UNROLL
        for (int i = 0; i < kCount; ++i) {
            LAP_UNROLL
            for (int r = 0; r < R; ++r) {
                sums[r][g] = Math::step(F(q[i * 4 + r]), bits_as_float(four.w[i]), sums[r][g]);
            }
        }
    }
}
// scores [16 keys][4 rows] = q [units][4] times keys [16][row_floats]; rows from R on are zero.
template <class Math, int R>
void multiply_keys(const float* q, const float* keys, int64_t row_floats, int64_t units, float* scores) {
    constexpr int kGroups = static_cast<int>(kFewKeys) / kLanes;
    F sums[R][kGroups];
    LAP_UNROLL
    for (int r = 0; r < R; ++r) {
        LAP_UNROLL
        for (int g = 0; g < kGroups; ++g) sums[r][g] = F(0.0f);
    }
    int64_t from = 0;
    for (; from + 4 <= units; from += 4) add_keys<Math, R, 4>(q + from * 4, keys + from, row_floats, sums);
    for (; from < units; ++from) add_keys<Math, R, 1>(q + from * 4, keys + from, row_floats, sums);
    float lanes[R][kFewKeys];
    LAP_UNROLL
    for (int r = 0; r < R; ++r) {
        LAP_UNROLL
        for (int g = 0; g < kGroups; ++g) sums[r][g].store_unaligned(lanes[r] + g * kLanes);
    }
    for (int key = 0; key < kFewKeys; ++key)
        for (int r = 0; r < 4; ++r) scores[key * 4 + r] = r < R ? lanes[r][key] : 0.0f;
}

// Memory that is asked for meanwhile: `step` bytes with each unit.
struct Ahead {
    const uint8_t* at = nullptr;
    int64_t step = 0;
};

// The sums of kCount vectors of values from value i on, a lane per value: weights [units][width] times the rows of the
// cache (Math::kPacked of them a unit) into out [values][width].
template <class Math, int R, int kCount, class Load>
LAP_INLINE void multiply_values(Load load, const float* weights, int64_t width, const KvRow* rows, int units, int64_t i,
                                Ahead* ahead, float* out) {
    F sums[R][kCount];
    LAP_UNROLL
    for (int r = 0; r < R; ++r) {
        LAP_UNROLL
        for (int n = 0; n < kCount; ++n) sums[r][n] = F(0.0f);
    }
    const uint8_t* next = ahead->at;
    const int64_t step = ahead->step;
    for (int u = 0; u < units; ++u, weights += width, rows += Math::kPacked) {
        for (int64_t at = 0; at < step; at += 64) __builtin_prefetch(next + at, 0, 2);
        next += step;
        F values[kCount];
        LAP_UNROLL
        for (int n = 0; n < kCount; ++n) values[n] = load(rows, i + n * kLanes);
        LAP_UNROLL
        for (int r = 0; r < R; ++r) {
            const F weight(weights[r]);
            LAP_UNROLL
            for (int n = 0; n < kCount; ++n) sums[r][n] = Math::step(weight, values[n], sums[r][n]);
        }
    }
    ahead->at = next;
    alignas(64) float lanes[R][kCount * kLanes];
    LAP_UNROLL
    for (int r = 0; r < R; ++r) {
        LAP_UNROLL
        for (int n = 0; n < kCount; ++n) sums[r][n].store_aligned(lanes[r] + n * kLanes);
    }
    for (int v = 0; v < kCount * kLanes; ++v)
        for (int r = 0; r < R; ++r) out[v * width + r] = lanes[r][v];
}

// Vectors of values that leave registers for R rows of sums.
template <int R>
constexpr int kValueVectors = (kWideRegisters ? 16 : 8) / R > 0 ? (kWideRegisters ? 16 : 8) / R : 1;

// The same for all values of a row: as many vectors at a time as leave registers for R rows of sums; values that fill no
// vector are converted first.
template <class Math, int R>
void multiply_all_values(KvFormat format, const float* weights, int64_t width, const KvRow* rows, int units, int64_t dim,
                         Ahead ahead, float* scratch, float* out) {
    constexpr int kCount = kValueVectors<R>;
    Math::with_values(format, [&](auto load) LAP_INLINE_LAMBDA {
        int64_t i = 0;
        for (; i + kCount * kLanes <= dim; i += kCount * kLanes)
            multiply_values<Math, R, kCount>(load, weights, width, rows, units, i, &ahead, out + i * width);
        for (; i + kLanes <= dim; i += kLanes)
            multiply_values<Math, R, 1>(load, weights, width, rows, units, i, &ahead, out + i * width);
        if (i == dim) return;
        const auto part = [&](const KvRow* row, int64_t at) {
            Math::convert_values(format, row, 1, at, dim, scratch, 0);
            return F::load_unaligned(scratch);
        };
        multiply_values<Math, R, 1>(part, weights, width, rows, units, i, &ahead, out + i * width);
    });
}

}  // namespace
