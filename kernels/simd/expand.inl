// Expansion of weights for the matmul: the plain formats and those in blocks of 32 (expand_k.inl has the rest).
// kLanes rows at a time, so that vector lane r holds the value of row r. Every expander hands the values of ascending K to `sink`; the sink stores them or multiplies at once.
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

// q * scale + offset for the four unsigned bytes q of every lane.
template <class Sink>
LAP_INLINE void emit_codes(I codes, F scale, F offset, Sink& sink) {
    LAP_UNROLL
    for (int byte = 0; byte < 4; ++byte) {
        sink(fused(int_to_float((codes >> 8 * byte) & I(255)), scale, offset));
    }
}

template <int kShift>
LAP_INLINE F signed_byte(I w) {
    return int_to_float((w << (24 - kShift)) >> 24);
}

// Sixteen signed bytes times scale.
template <class Sink>
LAP_INLINE void emit_signed(const Words& words, F scale, Sink& sink) {
    emit_bytes(words, sink, [=](I v, auto shift) { return signed_byte<shift()>(v) * scale; });
}

// The low (kNibble = 0) or high (4) nibbles of 16 bytes as indices into the sixteen levels of iq4, times scale.
template <int kNibble, class Sink>
LAP_INLINE void emit_iq4(const Words& words, F scale, Sink& sink) {
    Words levels;
    LAP_UNROLL
    for (int i = 0; i < 4; ++i) levels.w[i] = look_up_iq4((words.w[i] >> kNibble) & I(0x0f0f0f0f));
    emit_signed(levels, scale, sink);
}

struct ExpandF32 {
    static constexpr Format kFormat = Format::f32;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
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
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        expand_shorts(w, stride, count, sink, [](I v) { return half_lanes(v); });
    }
};

struct ExpandBf16 {
    static constexpr Format kFormat = Format::bf16;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        expand_shorts(w, stride, count, sink, [](I v) { return bits_as_float(v << 16); });
    }
};

struct ExpandQ4_0 {
    static constexpr Format kFormat = Format::q4_0;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
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
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
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
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 32, w += sizeof(BlockQ8_0)) {
            const F scale = half_lanes(load_shorts(w, stride));
            LAP_UNROLL
            for (int half = 0; half < 2; ++half) {
                emit_signed(load_words(w + offsetof(BlockQ8_0, qs) + 16 * half, stride), scale, sink);
            }
        }
    }
};

// Bit 4 of sixteen values, from bit i (low nibbles) or 16 + i (high) of `bits`, joins the nibbles of 16 bytes.
template <int kNibble, class Sink>
LAP_INLINE void emit_five_bits(const Words& words, I bits, F scale, F offset, Sink& sink) {
    LAP_UNROLL
    for (int i = 0; i < 16; ++i) {
        const I low = (words.w[i / 4] >> (8 * (i % 4) + kNibble)) & I(15);
        const I fifth = ((bits >> (i + 4 * kNibble)) & I(1)) << 4;
        sink(fused(int_to_float(low | fifth), scale, offset));
    }
}

struct ExpandQ5_0 {
    static constexpr Format kFormat = Format::q5_0;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 32, w += sizeof(BlockQ5_0)) {
            const Words words = load_words(w + offsetof(BlockQ5_0, qs), stride);
            const uint8_t* qh = w + offsetof(BlockQ5_0, qh);
            const I bits = load_shorts(qh, stride) | (load_shorts(qh + 2, stride) << 16);
            const F scale = half_lanes(load_shorts(w, stride)), offset = scale * F(-16.0f);
            emit_five_bits<0>(words, bits, scale, offset, sink);
            emit_five_bits<4>(words, bits, scale, offset, sink);
        }
    }
};

struct ExpandQ5_1 {
    static constexpr Format kFormat = Format::q5_1;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 32, w += sizeof(BlockQ5_1)) {
            const Words words = load_words(w + offsetof(BlockQ5_1, qs), stride);
            const Words header = load_words(w, stride);  // d | m, then qh
            const F scale = half_lanes(header.w[0]), minimum = half_lanes(header.w[0] >> 16);
            emit_five_bits<0>(words, header.w[1], scale, minimum, sink);
            emit_five_bits<4>(words, header.w[1], scale, minimum, sink);
        }
    }
};

struct ExpandIq4Nl {
    static constexpr Format kFormat = Format::iq4_nl;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 32, w += sizeof(BlockIq4Nl)) {
            const Words words = load_words(w + offsetof(BlockIq4Nl, qs), stride);
            const F scale = half_lanes(load_shorts(w, stride));
            emit_iq4<0>(words, scale, sink);
            emit_iq4<4>(words, scale, sink);
        }
    }
};

}  // namespace
