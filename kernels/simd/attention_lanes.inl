// The arithmetic of attention on vectors whose lanes are query rows: V is a vector of floats, N of them a group.
// A lane never looks at another, so a row has the same bits in a narrow vector and in a wide one. For attention.inl.
namespace {

// e^x for x <= 0, 0 below -87. x = n ln 2 + r with |r| <= ln 2 / 2; the polynomial is the best of degree 5 that
// begins with 1 + r (off by 1.8 units of 2^-24, found by Lawson's iteration), so that e^0 is exactly 1.
template <class V>
LAP_INLINE V exponential(V x) {
    using Bits = xsimd::batch<int32_t, typename V::arch_type>;
    const V magic(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, which stands in the low bits
    const V shifted = fused(x, V(1.44269504f), magic), n = shifted - magic;
    const V r = fused(n, V(-1.90465421e-9f), fused(n, V(-0.693147182f), x));
    V p = fused(r, V(0.00831250101f), V(0.0418903306f));
    p = fused(r, p, V(0.166671157f));
    p = fused(r, p, V(0.499992311f));
    p = fused(r, p, V(1.0f));
    p = fused(r, p, V(1.0f));
    const Bits power = vector_bits<Bits>(p) + (vector_bits<Bits>(shifted) << 23);
    return xsimd::select(x < V(-87.0f), V(0.0f), vector_bits<V>(power));
}

// out[g][lane] = (add: that +) sum over u of x[u][lane] * y[u * y_step + g * y_group], G times N accumulators in registers.
// An element is what Math multiplies in one instruction: a float, or a pair of halves of one.
template <class Math, class V, int N, int G>
LAP_INLINE void multiply(const float* x, const float* y, int64_t y_step, int64_t y_group, int64_t units, bool add,
                         float* out) {
    constexpr int64_t kSize = V::size, kWidth = N * kSize;
    V sums[G][N];
    LAP_UNROLL
    for (int g = 0; g < G; ++g) {
        LAP_UNROLL
        for (int n = 0; n < N; ++n) {
            sums[g][n] = add ? V::load_unaligned(out + g * kWidth + n * kSize) : V(0.0f);
        }
    }
    for (int64_t u = 0; u < units; ++u) {
        V lanes[N];
        LAP_UNROLL
        for (int n = 0; n < N; ++n) lanes[n] = V::load_unaligned(x + n * kSize);
        LAP_UNROLL
        for (int g = 0; g < G; ++g) {
            const V same(y[g * y_group]);
            LAP_UNROLL
            for (int n = 0; n < N; ++n) sums[g][n] = Math::step(lanes[n], same, sums[g][n]);
        }
        x += kWidth;
        y += y_step;
    }
    LAP_UNROLL
    for (int g = 0; g < G; ++g) {
        LAP_UNROLL
        for (int n = 0; n < N; ++n) sums[g][n].store_unaligned(out + g * kWidth + n * kSize);
    }
}

// Scores of positions outside a lane's range become -infinity.
template <class V>
void hide(float* scores, int64_t width, int64_t lane, int count, const float* first, const float* last) {
    const V from = V::load_unaligned(first + lane), to = V::load_unaligned(last + lane);
    for (int p = 0; p < count; ++p) {
        float* at = scores + p * width + lane;
        const V position(static_cast<float>(p));
        const V s = xsimd::select(position < from, V(-__builtin_inff()), V::load_unaligned(at));
        xsimd::select(position < to, s, V(-__builtin_inff())).store_unaligned(at);
    }
}

// Scores [count][width] of one vector of lanes to weights e^(s - maximum), packed as Math multiplies them; the
// maximum (at least the lowest finite float, so that a row without positions gets weights of zero) and the sum.
template <class Math, class V>
void exponentials(float* scores, int64_t width, int64_t lane, int count, float* maximum, float* sum) {
    V largest(-3.40282347e38f);
    for (int p = 0; p < count; ++p) largest = xsimd::max(largest, V::load_unaligned(scores + p * width + lane));
    V total(0.0f);
    float* out = scores + lane;  // packed weights overtake no score that is still needed
    for (int p = 0; p < count; p += Math::kPacked) {
        V weights[Math::kPacked];
        for (int i = 0; i < Math::kPacked; ++i) {
            const V score = V::load_unaligned(scores + (p + i) * width + lane);
            weights[i] = p + i < count ? exponential(score - largest) : V(0.0f);
        }
        Math::pack(weights, &total).store_unaligned(out);
        out += width;
    }
    largest.store_unaligned(maximum + lane);
    total.store_unaligned(sum + lane);
}

// Merges the maximum and sum of a block into the running ones; the factors bring both to the common maximum.
template <class V>
LAP_INLINE void merge_sums(const float* block_maximum, const float* block_sum, float* maximum, float* sum, V* keep,
                           V* take) {
    const V old = V::load_unaligned(maximum), added = V::load_unaligned(block_maximum);
    const V largest = xsimd::max(old, added);
    *keep = exponential(old - largest);
    *take = exponential(added - largest);
    fused(V::load_unaligned(block_sum), *take, V::load_unaligned(sum) * *keep).store_unaligned(sum);
    largest.store_unaligned(maximum);
}

template <class V>
LAP_INLINE void merge_values(const float* acc, float* merged, V keep, V take) {
    fused(V::load_unaligned(acc), take, V::load_unaligned(merged) * keep).store_unaligned(merged);
}

}  // namespace
