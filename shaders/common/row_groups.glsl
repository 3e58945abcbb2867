// Sixteen values of K of a row of quantised weights in its source blocks (kernels/blocks.h): q a + b, with q as sixteen signed
// bytes in their order. Behind common/block_values.glsl, for the formats that it names but F32, F16 and BF16. All products
// q a are exact or, with b, rounded with the sum: as kernels/ref/expand.cpp does.
uint word_at(InWords p, uint at) {  // at even bytes
    const uint i = at / 4;
    if (at % 4 == 0) return p.at[i];
    return p.at[i] >> 16 | p.at[i + 1] << 16;
}
uvec4 words_at(InWords p, uint at) { return uvec4(word_at(p, at), word_at(p, at + 4), word_at(p, at + 8), word_at(p, at + 12)); }

#if defined(IQ4_NL) || defined(IQ4_XS)
uint iq4_values(uint nibbles) {
    uint q = 0;
    [[unroll]] for (uint j = 0; j < 4; ++j) q |= uint(IQ4[nibbles >> 8 * j & 15] & 255) << 8 * j;
    return q;
}
uvec4 iq4_values(uvec4 n) { return uvec4(iq4_values(n.x), iq4_values(n.y), iq4_values(n.z), iq4_values(n.w)); }
#endif

#if defined(Q5_0) || defined(Q5_1)
// Bits 0 to 15, each as bit 4 of a byte.
uvec4 fifth_bits(uint bits) {
    return (uvec4(bits & 15, bits >> 4 & 15, bits >> 8 & 15, bits >> 12 & 15) * 0x00204081u & 0x01010101u) << 4;
}
#endif

// Group g of the block that begins at byte `at`.
void load_group(InWords p, uint at, uint g, out uvec4 q, out float a, out float b) {
    b = 0;
#if defined(Q4_0)
    q = words_at(p, at + 2) >> 4 * g & 0x0f0f0f0fu;
    a = half_at(p, at);
    b = -8 * a;
#elif defined(Q4_1)
    q = words_at(p, at + 4) >> 4 * g & 0x0f0f0f0fu;
    a = half_at(p, at);
    b = half_at(p, at + 2);
#elif defined(Q5_0)
    q = (words_at(p, at + 6) >> 4 * g & 0x0f0f0f0fu) | fifth_bits(word_at(p, at + 2) >> 16 * g);
    a = half_at(p, at);
    b = -16 * a;
#elif defined(Q5_1)
    q = (words_at(p, at + 8) >> 4 * g & 0x0f0f0f0fu) | fifth_bits(word_at(p, at + 4) >> 16 * g);
    a = half_at(p, at);
    b = half_at(p, at + 2);
#elif defined(Q8_0)
    q = words_at(p, at + 2 + 16 * g);
    a = half_at(p, at);
#elif defined(IQ4_NL)
    q = iq4_values(words_at(p, at + 2) >> 4 * g & 0x0f0f0f0fu);
    a = half_at(p, at);
#elif defined(Q2_K)
    const uint scales = byte_at(p, at + g);
    q = words_at(p, at + 16 + 32 * (g / 8) + 16 * (g % 2)) >> g % 8 / 2 * 2 & 0x03030303u;
    a = float(scales & 15) * half_at(p, at + 80);
    b = -float(scales >> 4) * half_at(p, at + 82);
#elif defined(Q3_K)
    const uint half_ = g / 8, s = g % 8 / 2;
    q = (words_at(p, at + 32 + 32 * half_ + 16 * (g % 2)) >> 2 * s & 0x03030303u) |
        (words_at(p, at + 16 * (g % 2)) >> 4 * half_ + s & 0x01010101u) << 2;
    const uint low = g < 8 ? byte_at(p, at + 96 + g) & 15 : byte_at(p, at + 96 + g - 8) >> 4;
    const uint high = byte_at(p, at + 104 + g % 4) >> 2 * (g / 4) & 3;
    a = float(int(low | high << 4) - 32) * half_at(p, at + 108);
    b = -4 * a;
#elif defined(Q4_K) || defined(Q5_K)
#ifdef Q4_K
    q = words_at(p, at + 16 + 32 * (g / 4) + 16 * (g % 2)) >> 4 * (g / 2 % 2) & 0x0f0f0f0fu;
#else
    q = (words_at(p, at + 48 + 32 * (g / 4) + 16 * (g % 2)) >> 4 * (g / 2 % 2) & 0x0f0f0f0fu) |
        (words_at(p, at + 16 + 16 * (g % 2)) >> g / 2 & 0x01010101u) << 4;
#endif
    a = k4_scale(p, at + 4, g / 2) * half_at(p, at);
    b = -k4_minimum(p, at + 4, g / 2) * half_at(p, at + 2);
#elif defined(Q6_K)
    const uint half_ = g / 8, quarter = g % 8 / 2;
    const uvec4 bits = (words_at(p, at + 64 * half_ + 32 * (quarter % 2) + 16 * (g % 2)) >> 4 * (quarter / 2) & 0x0f0f0f0fu) |
                       (words_at(p, at + 128 + 32 * half_ + 16 * (g % 2)) >> 2 * quarter & 0x03030303u) << 4;
    q = ((bits | 0x80808080u) - 0x20202020u) ^ 0x80808080u;  // bits - 32
    a = float(signed_byte_at(p, at + 192 + g)) * half_at(p, at + 208);
#elif defined(IQ4_XS)
    const uint block = g / 2, low = byte_at(p, at + 4 + block / 2) >> 4 * (block % 2) & 15;
    const uint high = (byte_at(p, at + 2 + block / 4) >> 2 * (block % 4) & 3) << 4;
    q = iq4_values(words_at(p, at + 8 + 16 * block) >> 4 * (g % 2) & 0x0f0f0f0fu);
    a = float(int(low | high) - 32) * half_at(p, at);
#endif
}

// Group number `group` of the row that begins at byte `row`.
void load_row_group(InWords p, uint row, uint group, out uvec4 q, out float a, out float b) {
    const uint in_block = BLOCK_VALUES / 16;
    load_group(p, row + group / in_block * BLOCK_BYTES, group % in_block, q, a, b);
}

// Values 4 i to 4 i + 3.
vec4 group_values(uvec4 q, uint i, float a, float b) {
    const int four = int(q[i]);
    return fma(vec4(four << 24 >> 24, four << 16 >> 24, four << 8 >> 24, four >> 24), vec4(a), vec4(b));
}
