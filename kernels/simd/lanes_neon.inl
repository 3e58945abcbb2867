// The 128-bit lanes of arm64: what xsimd lacks in one of its versions, in intrinsics. Included once, inside the level's namespace.
namespace {

using Arch = xsimd::neon64;
using F = xsimd::batch<float, Arch>;
using I = xsimd::batch<int32_t, Arch>;
struct Words {
    I w[4];
};

using F8 = F;  // nothing is narrower
using F4 = F;
constexpr bool kWideRegisters = true;  // 32 of them

inline F fused(F a, F b, F c) { return F(vfmaq_f32(c, a, b)); }
inline F int_to_float(I v) { return F(vcvtq_f32_s32(v)); }
inline I float_to_int(F v) { return I(vcvtnq_s32_f32(v)); }  // to nearest, ties to even
inline F bits_as_float(I v) { return F(vreinterpretq_f32_s32(v)); }
inline I float_as_bits(F v) { return I(vreinterpretq_s32_f32(v)); }
inline float sum_of_lanes(F v) { return vaddvq_f32(v); }

// Sixteen bytes of each of 4 rows, transposed: words.w[i] holds dword i of every row.
inline Words load_words(const uint8_t* p, int64_t stride) {
    const auto row = [=](int64_t r) { return vreinterpretq_s32_u8(vld1q_u8(p + r * stride)); };
    const int32x4_t r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const int64x2_t low01 = vreinterpretq_s64_s32(vzip1q_s32(r0, r1));
    const int64x2_t high01 = vreinterpretq_s64_s32(vzip2q_s32(r0, r1));
    const int64x2_t low23 = vreinterpretq_s64_s32(vzip1q_s32(r2, r3));
    const int64x2_t high23 = vreinterpretq_s64_s32(vzip2q_s32(r2, r3));
    return {{I(vreinterpretq_s32_s64(vzip1q_s64(low01, low23))), I(vreinterpretq_s32_s64(vzip2q_s64(low01, low23))),
             I(vreinterpretq_s32_s64(vzip1q_s64(high01, high23))),
             I(vreinterpretq_s32_s64(vzip2q_s64(high01, high23)))}};
}

// Two bytes of each row, zero-extended.
inline I load_shorts(const uint8_t* p, int64_t stride) {
    const int32_t rows[4] = {load_u16(p), load_u16(p + stride), load_u16(p + 2 * stride), load_u16(p + 3 * stride)};
    return I(vld1q_s32(rows));
}

// The low 16 bits of every lane as f16.
inline F half_lanes(I v) { return F(vcvt_f32_f16(vreinterpret_f16_s16(vmovn_s32(v)))); }

// Four bits of every lane as a float.
template <int kShift>
inline F nibble(I v) {
    return int_to_float((v >> kShift) & I(15));
}

// kIq4Values[byte] for every byte (0 to 15).
inline I look_up_iq4(I codes) {
    return I(vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(kIq4Values), vreinterpretq_u8_s32(codes))));
}

inline F load_half(const uint8_t* p) { return F(vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)))); }
inline void store_half(F v, uint8_t* p) { vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(v))); }
inline F load_bytes(const int8_t* p) {
    const int32_t lanes[4] = {p[0], p[1], p[2], p[3]};
    return int_to_float(I(vld1q_s32(lanes)));
}
inline void store_bytes(I v, int8_t* p) {
    int32_t lanes[4];
    vst1q_s32(lanes, v);
    for (int i = 0; i < 4; ++i) p[i] = static_cast<int8_t>(lanes[i]);
}

}  // namespace
