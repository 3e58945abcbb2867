// Kernels along one row: norms, GELU gate, rope, soft-cap, multiply-add, quantisation, f16 cache rows.
namespace {

// The first n < kLanes values at p, the rest zero; and the reverse.
F load_part(const float* p, int64_t n) {
    alignas(64) float lanes[kLanes] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return F::load_aligned(lanes);
}
void store_part(F v, float* p, int64_t n) {
    alignas(64) float lanes[kLanes];
    v.store_aligned(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}
LAP_INLINE F load(const float* p, int64_t n) { return n >= kLanes ? F::load_unaligned(p) : load_part(p, n); }
LAP_INLINE void store(F v, float* p, int64_t n) { n >= kLanes ? v.store_unaligned(p) : store_part(v, p, n); }

// Calls body(i, n - i) for i = 0, kLanes, ...: body works on min(kLanes, n - i) values with load and store.
template <class Body>
LAP_INLINE void for_lanes(int64_t n, Body body) {
    for (int64_t i = 0; i < n; i += kLanes) body(i, n - i);
}

float sum_of_squares(const float* x, int64_t n) {
    F sum(0.0f);
    for_lanes(n, [&](int64_t i, int64_t left) {
        const F v = load(x + i, left);
        sum = fused(v, v, sum);
    });
    return sum_of_lanes(sum);
}

float inverse_rms(const float* x, int64_t n, float eps) {
    return 1.0f / __builtin_sqrtf(sum_of_squares(x, n) / static_cast<float>(n) + eps);
}

}  // namespace

void rms_norm(const float* x, const float* w, int64_t n, float eps, float* y) {
    const F scale(inverse_rms(x, n, eps));
    for_lanes(n, [=](int64_t i, int64_t left) {
        const F v = load(x + i, left) * scale;
        store(w ? v * load(w + i, left) : v, y + i, left);
    });
}

void add_norm(float* x, const float* y, const float* w, int64_t n, float eps, float scale) {
    const F inverse(inverse_rms(y, n, eps)), factor(scale);
    for_lanes(n, [=](int64_t i, int64_t left) {
        const F normed = load(y + i, left) * inverse;
        store(fused(normed, load(w + i, left), load(x + i, left)) * factor, x + i, left);
    });
}

// See ref/activation.cpp for the formula.
void geglu(const float* gate, const float* up, int64_t n, float* y) {
    for_lanes(n, [=](int64_t i, int64_t left) {
        const F x = load(gate + i, left);
        const F inner = F(0.7978845608f) * fused(F(0.044715f) * x * x, x, x);
        const F half = F(0.5f) * x;
        store(fused(half, xsimd::tanh(inner), half) * load(up + i, left), y + i, left);
    });
}

void rope(float* x, int64_t n, int64_t pairs, const float* cosine, const float* sine) {
    float* second = x + n / 2;
    for_lanes(pairs, [=](int64_t j, int64_t left) {
        const F a = load(x + j, left), b = load(second + j, left);
        const F c = load(cosine + j, left), s = load(sine + j, left);
        store(a * c - b * s, x + j, left);
        store(b * c + a * s, second + j, left);
    });
}

void soft_cap(float* x, int64_t n, float cap) {
    const F limit(cap);
    for_lanes(n, [=](int64_t i, int64_t left) {
        store(limit * xsimd::tanh(load(x + i, left) / limit), x + i, left);
    });
}

void scale_add(float* x, float s, const float* y, int64_t n) {
    const F factor(s);
    for_lanes(n, [=](int64_t i, int64_t left) {
        const F v = load(x + i, left) * factor;
        store(y ? v + load(y + i, left) : v, x + i, left);
    });
}

// Bit for bit what ref/quantize.cpp does; blocks without a usable scale go there.
void quantize(const float* x, int64_t k, int8_t* q, float* scales) {
    constexpr float kSmallestScale = 1.17549435e-38f, kInfinity = __builtin_inff();
    for (int64_t begin = 0; begin < k; begin += kActivationBlock) {
        I largest(0);  // bits without sign order as magnitudes do, NaN last
        for (int64_t i = begin; i < begin + kActivationBlock; i += kLanes) {
            largest = xsimd::max(largest, float_as_bits(F::load_unaligned(x + i)) & I(0x7fffffff));
        }
        alignas(64) int32_t lanes[kLanes];
        largest.store_aligned(lanes);
        int32_t bits = 0;
        for (int lane : lanes) bits = lane > bits ? lane : bits;
        const float scale = bits_float(static_cast<uint32_t>(bits)) / 127.0f;
        if (!(scale >= kSmallestScale && scale < kInfinity)) {
            ref::quantize(x + begin, kActivationBlock, q + begin, scales + begin / kActivationBlock);
            continue;
        }
        scales[begin / kActivationBlock] = scale;
        for (int64_t i = begin; i < begin + kActivationBlock; i += kLanes) {
            store_bytes(float_to_int(F::load_unaligned(x + i) / F(scale)), q + i);
        }
    }
}

void store_kv_f16(const float* x, int64_t n, void* row, void* scales) {
    auto* out = static_cast<uint8_t*>(row);
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store_half(F::load_unaligned(x + i), out + 2 * i);
    ref::store_kv_f16(x + i, n - i, out + 2 * i, scales);
}
