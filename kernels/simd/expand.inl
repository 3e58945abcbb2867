// Expansion of weights for the matmul: kLanes rows at a time, so that vector lane r holds the value of row r.
// Every expander hands the values of ascending K to `sink`; the sink stores them or multiplies at once.
// The same values, bit for bit, as ref/expand.cpp.
namespace {

constexpr int kLanes = static_cast<int>(F::size);

// Calls sink(map(integer from the bits kShift..)) for 16 values: one byte after the other of four words.
template <class Sink, class Value>
LAP_INLINE void emit_bytes(const Words& words, Sink& sink, Value value) {
    LAP_UNROLL
    for (int i = 0; i < 4; ++i) {
        sink(value(words.w[i], std::integral_constant<int, 0>()));
        sink(value(words.w[i], std::integral_constant<int, 8>()));
        sink(value(words.w[i], std::integral_constant<int, 16>()));
        sink(value(words.w[i], std::integral_constant<int, 24>()));
    }
}

// q * scale + offset for the low (kNibble = 0) or high (4) nibbles of 16 bytes.
template <int kNibble, class Sink>
LAP_INLINE void emit_nibbles(const Words& words, F scale, F offset, Sink& sink) {
    emit_bytes(words, sink, [=](I w, auto shift) { return fused(nibble<shift() + kNibble>(w), scale, offset); });
}

template <int kShift>
LAP_INLINE F signed_byte(I w) {
    return int_to_float((w << (24 - kShift)) >> 24);
}
LAP_INLINE F signed_byte_at(I w, int byte) { return int_to_float((w << (24 - 8 * byte)) >> 24); }

struct ExpandF32 {
    static constexpr Format kFormat = Format::f32;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        int64_t k = 0;
        for (; k + 4 <= count; k += 4) {
            const Words words = load_words(w + 4 * k, stride);
            LAP_UNROLL
            for (int i = 0; i < 4; ++i) sink(bits_as_float(words.w[i]));
        }
        for (; k < count; ++k) {
            alignas(64) float lanes[kLanes];
            for (int r = 0; r < kLanes; ++r) memcpy(&lanes[r], w + r * stride + 4 * k, sizeof(float));
            sink(F::load_aligned(lanes));
        }
    }
};

// f16 and bf16: `value` turns the low 16 bits of a lane into a float.
template <class Sink, class Value>
LAP_INLINE void expand_shorts(const uint8_t* w, int64_t stride, int64_t count, Sink& sink, Value value) {
    int64_t k = 0;
    for (; k + 8 <= count; k += 8) {
        const Words words = load_words(w + 2 * k, stride);
        LAP_UNROLL
        for (int i = 0; i < 4; ++i) {
            sink(value(words.w[i]));
            sink(value(words.w[i] >> 16));
        }
    }
    for (; k < count; ++k) sink(value(load_shorts(w + 2 * k, stride)));
}

struct ExpandF16 {
    static constexpr Format kFormat = Format::f16;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        expand_shorts(w, stride, count, sink, [](I v) { return half_lanes(v); });
    }
};

struct ExpandBf16 {
    static constexpr Format kFormat = Format::bf16;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        expand_shorts(w, stride, count, sink, [](I v) { return bits_as_float(v << 16); });
    }
};

struct ExpandQ4_0 {
    static constexpr Format kFormat = Format::q4_0;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        for (int64_t k = 0; k < count; k += 32, w += sizeof(BlockQ4_0)) {
            const Words words = load_words(w + offsetof(BlockQ4_0, qs), stride);
            const F scale = half_lanes(load_shorts(w, stride)), offset = scale * F(-8.0f);
            emit_nibbles<0>(words, scale, offset, sink);
            emit_nibbles<4>(words, scale, offset, sink);
        }
    }
};

struct ExpandQ4_1 {
    static constexpr Format kFormat = Format::q4_1;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        for (int64_t k = 0; k < count; k += 32, w += sizeof(BlockQ4_1)) {
            const Words words = load_words(w + offsetof(BlockQ4_1, qs), stride);
            const F scale = half_lanes(load_shorts(w, stride));
            const F minimum = half_lanes(load_shorts(w + offsetof(BlockQ4_1, m), stride));
            emit_nibbles<0>(words, scale, minimum, sink);
            emit_nibbles<4>(words, scale, minimum, sink);
        }
    }
};

struct ExpandQ8_0 {
    static constexpr Format kFormat = Format::q8_0;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        for (int64_t k = 0; k < count; k += 32, w += sizeof(BlockQ8_0)) {
            const F scale = half_lanes(load_shorts(w, stride));
            LAP_UNROLL
            for (int half = 0; half < 2; ++half) {
                const Words words = load_words(w + offsetof(BlockQ8_0, qs) + 16 * half, stride);
                emit_bytes(words, sink, [=](I v, auto shift) { return signed_byte<shift()>(v) * scale; });
            }
        }
    }
};

struct ExpandQ4K {
    static constexpr Format kFormat = Format::q4_k;

    // Six-bit scale and minimum of group g, from the header words (d | dmin, scales[0..3], [4..7], [8..11]).
    LAP_INLINE static F scale(const Words& h, int g) {
        if (g < 4) return int_to_float((h.w[1] >> 8 * g) & I(63));
        const int at = 8 * (g - 4);
        return int_to_float(((h.w[3] >> at) & I(15)) | (((h.w[1] >> (at + 6)) & I(3)) << 4));
    }
    LAP_INLINE static F minimum(const Words& h, int g) {
        if (g < 4) return int_to_float((h.w[2] >> 8 * g) & I(63));
        const int at = 8 * (g - 4);
        return int_to_float(((h.w[3] >> (at + 4)) & I(15)) | (((h.w[2] >> (at + 6)) & I(3)) << 4));
    }

    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockQ4K)) {
            const Words header = load_words(w, stride);
            const F d = half_lanes(header.w[0]), dmin = half_lanes(header.w[0] >> 16);
            for (int pair = 0; pair < 4; ++pair) {
                const uint8_t* qs = w + offsetof(BlockQ4K, qs) + 32 * pair;
                const Words first = load_words(qs, stride), second = load_words(qs + 16, stride);
                const F low = scale(header, 2 * pair) * d, high = scale(header, 2 * pair + 1) * d;
                const F low_offset = minimum(header, 2 * pair) * -dmin;
                const F high_offset = minimum(header, 2 * pair + 1) * -dmin;
                emit_nibbles<0>(first, low, low_offset, sink);
                emit_nibbles<0>(second, low, low_offset, sink);
                emit_nibbles<4>(first, high, high_offset, sink);
                emit_nibbles<4>(second, high, high_offset, sink);
            }
        }
    }
};

struct ExpandQ6K {
    static constexpr Format kFormat = Format::q6_k;

    // Sixteen values: four bits at kLow of each byte of `low`, two more at 2 kQuarter of each byte of `high`.
    // (q - 32) s as fma(q, s, -32 s): q s is exact inside the fma and so is 32 s, hence one rounding as in ref.
    template <int kQuarter, class Sink>
    LAP_INLINE static void emit(const Words& low, const Words& high, F scale, Sink& sink) {
        constexpr int kLow = kQuarter < 2 ? 0 : 4;
        const F offset = scale * F(-32.0f);
        LAP_UNROLL
        for (int i = 0; i < 4; ++i) {
            const I high_bits = kQuarter < 2 ? high.w[i] << (4 - 2 * kQuarter) : high.w[i] >> (2 * kQuarter - 4);
            const I q = ((low.w[i] >> kLow) & I(0x0f0f0f0f)) | (high_bits & I(0x30303030));
            sink(fused(int_to_float(q & I(63)), scale, offset));
            sink(fused(int_to_float((q >> 8) & I(63)), scale, offset));
            sink(fused(int_to_float((q >> 16) & I(63)), scale, offset));
            sink(fused(int_to_float(q >> 24), scale, offset));
        }
    }

    // The 128 values of one half; scales.w[] holds the four words of all sixteen scales.
    template <int kHalf, class Sink>
    LAP_INLINE static void half(const uint8_t* w, int64_t stride, const Words& scales, F d, Sink& sink) {
        const uint8_t* ql = w + offsetof(BlockQ6K, ql) + 64 * kHalf;
        const uint8_t* qh = w + offsetof(BlockQ6K, qh) + 32 * kHalf;
        const Words low[4] = {load_words(ql, stride), load_words(ql + 16, stride), load_words(ql + 32, stride),
                              load_words(ql + 48, stride)};
        const Words high[2] = {load_words(qh, stride), load_words(qh + 16, stride)};
        const I first = scales.w[2 * kHalf], second = scales.w[2 * kHalf + 1];
        emit<0>(low[0], high[0], signed_byte<0>(first) * d, sink);
        emit<0>(low[1], high[1], signed_byte<8>(first) * d, sink);
        emit<1>(low[2], high[0], signed_byte<16>(first) * d, sink);
        emit<1>(low[3], high[1], signed_byte<24>(first) * d, sink);
        emit<2>(low[0], high[0], signed_byte<0>(second) * d, sink);
        emit<2>(low[1], high[1], signed_byte<8>(second) * d, sink);
        emit<3>(low[2], high[0], signed_byte<16>(second) * d, sink);
        emit<3>(low[3], high[1], signed_byte<24>(second) * d, sink);
    }

    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float*, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockQ6K)) {
            const Words scales = load_words(w + offsetof(BlockQ6K, scales), stride);
            const F d = half_lanes(load_shorts(w + offsetof(BlockQ6K, d), stride));
            half<0>(w, stride, scales, d, sink);
            half<1>(w, stride, scales, d, sink);
        }
    }
};

// Every other format: the reference expands kLanes rows into `buffer`, which is then read transposed.
template <Format kAnyFormat, ExpandFn kExpand>
struct ExpandByRow {
    static constexpr Format kFormat = kAnyFormat;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, float* buffer, Sink& sink) {
        for (int r = 0; r < kLanes; ++r) kExpand(w + r * stride, count, buffer + r * kRowStride);
        constexpr int64_t kStride = kRowStride * static_cast<int64_t>(sizeof(float));
        ExpandF32::run(reinterpret_cast<const uint8_t*>(buffer), kStride, count, buffer, sink);
    }
};

}  // namespace
