// Expansion of weights for the matmul: the formats in blocks of 256. See expand.inl for what an expander is.
namespace {

// Six-bit scale and minimum of group g of q4_k and q5_k, from the header words (d | dmin, scales[0..3], [4..7], [8..11]).
LAP_INLINE F k4_scale(const Words& h, int g) {
    if (g < 4) return int_to_float((h.w[1] >> 8 * g) & I(63));
    const int at = 8 * (g - 4);
    return int_to_float(((h.w[3] >> at) & I(15)) | (((h.w[1] >> (at + 6)) & I(3)) << 4));
}
LAP_INLINE F k4_minimum(const Words& h, int g) {
    if (g < 4) return int_to_float((h.w[2] >> 8 * g) & I(63));
    const int at = 8 * (g - 4);
    return int_to_float(((h.w[3] >> (at + 4)) & I(15)) | (((h.w[2] >> (at + 6)) & I(3)) << 4));
}

struct ExpandQ4K {
    static constexpr Format kFormat = Format::q4_k;

    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockQ4K)) {
            const Words header = load_words(w, stride);
            const F d = half_lanes(header.w[0]), dmin = half_lanes(header.w[0] >> 16);
            for (int pair = 0; pair < 4; ++pair) {
                const uint8_t* qs = w + offsetof(BlockQ4K, qs) + 32 * pair;
                const Words first = load_words(qs, stride), second = load_words(qs + 16, stride);
                const F low = k4_scale(header, 2 * pair) * d, high = k4_scale(header, 2 * pair + 1) * d;
                const F low_offset = k4_minimum(header, 2 * pair) * -dmin;
                const F high_offset = k4_minimum(header, 2 * pair + 1) * -dmin;
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
            emit_codes(q, scale, offset, sink);
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
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockQ6K)) {
            const Words scales = load_words(w + offsetof(BlockQ6K, scales), stride);
            const F d = half_lanes(load_shorts(w + offsetof(BlockQ6K, d), stride));
            half<0>(w, stride, scales, d, sink);
            half<1>(w, stride, scales, d, sink);
        }
    }
};

// Two bits of each byte, and for q3_k a third one; groups of 16 values in the order of BlockQ2K.
struct ExpandQ2K {
    static constexpr Format kFormat = Format::q2_k;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockQ2K)) {
            const Words scales = load_words(w, stride);
            const F d = half_lanes(load_shorts(w + offsetof(BlockQ2K, d), stride));
            const F dmin = half_lanes(load_shorts(w + offsetof(BlockQ2K, dmin), stride));
            for (int half = 0; half < 2; ++half) {
                const uint8_t* qs = w + offsetof(BlockQ2K, qs) + 32 * half;
                const Words codes[2] = {load_words(qs, stride), load_words(qs + 16, stride)};
                for (int pair = 0; pair < 4; ++pair) {
                    LAP_UNROLL
                    for (int part = 0; part < 2; ++part) {
                        const int group = 8 * half + 2 * pair + part;
                        const I packed = scales.w[group / 4] >> 8 * (group % 4);
                        const F scale = int_to_float(packed & I(15)) * d;
                        const F offset = int_to_float((packed >> 4) & I(15)) * -dmin;
                        LAP_UNROLL
                        for (int i = 0; i < 4; ++i) {
                            emit_codes((codes[part].w[i] >> 2 * pair) & I(0x03030303), scale, offset, sink);
                        }
                    }
                }
            }
        }
    }
};

struct ExpandQ3K {
    static constexpr Format kFormat = Format::q3_k;

    // The end of the block is read as 16 bytes from two bytes before `scales`, so as not to read past it.
    static constexpr int kTail = static_cast<int>(offsetof(BlockQ3K, scales)) - 2;
    LAP_INLINE static I scale_byte(const Words& tail, int i) { return tail.w[(i + 2) / 4] >> 8 * ((i + 2) % 4); }
    LAP_INLINE static F scale(const Words& tail, int g) {
        const I low = (scale_byte(tail, g % 8) >> (g < 8 ? 0 : 4)) & I(15);
        const I high = (scale_byte(tail, 8 + g % 4) >> 2 * (g / 4)) & I(3);
        return int_to_float((low | (high << 4)) - I(32));
    }

    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockQ3K)) {
            const Words tail = load_words(w + kTail, stride);
            const F d = half_lanes(tail.w[3] >> 16);
            const Words mask[2] = {load_words(w, stride), load_words(w + 16, stride)};
            for (int half = 0; half < 2; ++half) {
                const uint8_t* qs = w + offsetof(BlockQ3K, qs) + 32 * half;
                const Words codes[2] = {load_words(qs, stride), load_words(qs + 16, stride)};
                for (int pair = 0; pair < 4; ++pair) {
                    LAP_UNROLL
                    for (int part = 0; part < 2; ++part) {
                        const F step = scale(tail, 8 * half + 2 * pair + part) * d, offset = step * F(-4.0f);
                        LAP_UNROLL
                        for (int i = 0; i < 4; ++i) {
                            const I low = (codes[part].w[i] >> 2 * pair) & I(0x03030303);
                            const I third = (mask[part].w[i] >> (4 * half + pair)) & I(0x01010101);
                            emit_codes(low | (third << 2), step, offset, sink);
                        }
                    }
                }
            }
        }
    }
};

struct ExpandQ5K {
    static constexpr Format kFormat = Format::q5_k;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockQ5K)) {
            const Words header = load_words(w, stride);
            const F d = half_lanes(header.w[0]), dmin = half_lanes(header.w[0] >> 16);
            const uint8_t* qh = w + offsetof(BlockQ5K, qh);
            const Words fifth[2] = {load_words(qh, stride), load_words(qh + 16, stride)};
            for (int group = 0; group < 8; ++group) {
                const uint8_t* qs = w + offsetof(BlockQ5K, qs) + 32 * (group / 2);
                const F scale = k4_scale(header, group) * d, offset = k4_minimum(header, group) * -dmin;
                LAP_UNROLL
                for (int part = 0; part < 2; ++part) {
                    const Words low = load_words(qs + 16 * part, stride);
                    LAP_UNROLL
                    for (int i = 0; i < 4; ++i) {
                        const I nibbles = (low.w[i] >> 4 * (group % 2)) & I(0x0f0f0f0f);
                        const I high = ((fifth[part].w[i] >> group) & I(0x01010101)) << 4;
                        emit_codes(nibbles | high, scale, offset, sink);
                    }
                }
            }
        }
    }
};

struct ExpandIq4Xs {
    static constexpr Format kFormat = Format::iq4_xs;
    template <class Sink>
    LAP_INLINE static void run(const uint8_t* w, int64_t stride, int64_t count, Sink& sink) {
        for (int64_t k = 0; k < count; k += 256, w += sizeof(BlockIq4Xs)) {
            const Words header = load_words(w, stride);  // d | scales_h, scales_l, then codes
            const F d = half_lanes(header.w[0]);
            for (int group = 0; group < 8; ++group) {
                const Words words = load_words(w + offsetof(BlockIq4Xs, qs) + 16 * group, stride);
                const I low = (header.w[1] >> 4 * group) & I(15);
                const I high = (header.w[0] >> (16 + 2 * group)) & I(3);
                const F scale = int_to_float((low | (high << 4)) - I(32)) * d;
                emit_iq4<0>(words, scale, sink);
                emit_iq4<4>(words, scale, sink);
            }
        }
    }
};

}  // namespace
