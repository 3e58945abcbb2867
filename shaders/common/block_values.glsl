// One value of a row of weights in its source blocks (drawings and formulas: kernels/blocks.h), f32. One of F32, F16, BF16,
// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS is defined. Blocks begin at any even byte.
uint byte_at(InWords p, uint at) { return p.at[at / 4] >> 8 * (at % 4) & 255; }
int signed_byte_at(InWords p, uint at) { return bitfieldExtract(int(p.at[at / 4]), int(8 * (at % 4)), 8); }
float half_at(InWords p, uint at) { return unpackHalf2x16(p.at[at / 4] >> 8 * (at % 4)).x; }  // at even bytes

#if defined(Q2_K) || defined(Q3_K) || defined(Q4_K) || defined(Q5_K) || defined(Q6_K) || defined(IQ4_XS)
const uint BLOCK_VALUES = 256;
#elif defined(F32) || defined(F16) || defined(BF16)
const uint BLOCK_VALUES = 1;
#else
const uint BLOCK_VALUES = 32;
#endif

#if defined(F32)
const uint BLOCK_BYTES = 4;
#elif defined(F16) || defined(BF16)
const uint BLOCK_BYTES = 2;
#elif defined(Q4_0) || defined(IQ4_NL)
const uint BLOCK_BYTES = 18;
#elif defined(Q4_1)
const uint BLOCK_BYTES = 20;
#elif defined(Q5_0)
const uint BLOCK_BYTES = 22;
#elif defined(Q5_1)
const uint BLOCK_BYTES = 24;
#elif defined(Q8_0)
const uint BLOCK_BYTES = 34;
#elif defined(Q2_K)
const uint BLOCK_BYTES = 84;
#elif defined(Q3_K)
const uint BLOCK_BYTES = 110;
#elif defined(Q4_K)
const uint BLOCK_BYTES = 144;
#elif defined(Q5_K)
const uint BLOCK_BYTES = 176;
#elif defined(Q6_K)
const uint BLOCK_BYTES = 210;
#elif defined(IQ4_XS)
const uint BLOCK_BYTES = 136;
#endif

// Nibble j of 32 values in 16 bytes: value j in the low half of byte j, value 16 + j in the high half.
uint nibble32(InWords p, uint at, uint j) { return byte_at(p, at + j % 16) >> (j < 16 ? 0 : 4) & 15; }

#if defined(IQ4_NL) || defined(IQ4_XS)
const int IQ4[16] = int[16](-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
#endif

#if defined(Q4_K) || defined(Q5_K)
float k4_scale(InWords p, uint s, uint g) {
    return float(g < 4 ? byte_at(p, s + g) & 63 : (byte_at(p, s + g + 4) & 15) | byte_at(p, s + g - 4) >> 6 << 4);
}
float k4_minimum(InWords p, uint s, uint g) {
    return float(g < 4 ? byte_at(p, s + g + 4) & 63 : byte_at(p, s + g + 4) >> 4 | byte_at(p, s + g) >> 6 << 4);
}
#endif

// Value j of the block that begins at byte `at`.
float value_of(InWords p, uint at, uint j) {
#if defined(F32)
    return uintBitsToFloat(p.at[at / 4]);
#elif defined(F16)
    return half_at(p, at);
#elif defined(BF16)
    return uintBitsToFloat(p.at[at / 4] >> 8 * (at % 4) << 16);
#elif defined(Q4_0)
    return float(int(nibble32(p, at + 2, j)) - 8) * half_at(p, at);
#elif defined(Q4_1)
    precise const float scaled = float(nibble32(p, at + 4, j)) * half_at(p, at);
    return scaled + half_at(p, at + 2);
#elif defined(Q5_0)
    const uint fifth = byte_at(p, at + 2 + j / 8) >> j % 8 & 1;
    return float(int(nibble32(p, at + 6, j) | fifth << 4) - 16) * half_at(p, at);
#elif defined(Q5_1)
    const uint fifth = byte_at(p, at + 4 + j / 8) >> j % 8 & 1;
    precise const float scaled = float(nibble32(p, at + 8, j) | fifth << 4) * half_at(p, at);
    return scaled + half_at(p, at + 2);
#elif defined(Q8_0)
    return float(signed_byte_at(p, at + 2 + j)) * half_at(p, at);
#elif defined(IQ4_NL)
    return float(IQ4[nibble32(p, at + 2, j)]) * half_at(p, at);
#elif defined(Q2_K)
    const uint q = byte_at(p, at + 16 + 32 * (j / 128) + j % 32) >> 2 * (j / 32 % 4) & 3, scales = byte_at(p, at + j / 16);
    precise const float scaled = float(q) * (float(scales & 15) * half_at(p, at + 80));
    precise const float minimum = float(scales >> 4) * half_at(p, at + 82);
    return scaled - minimum;
#elif defined(Q3_K)
    const uint shift = j / 32 % 4, i = j % 32, g = j / 16;
    const int q = int(byte_at(p, at + 32 + 32 * (j / 128) + i) >> 2 * shift & 3) -
                  ((byte_at(p, at + i) >> (4 * (j / 128) + shift) & 1) != 0 ? 0 : 4);
    const uint low = g < 8 ? byte_at(p, at + 96 + g) & 15 : byte_at(p, at + 96 + g - 8) >> 4;
    const int scale = int(low | (byte_at(p, at + 104 + g % 4) >> 2 * (g / 4) & 3) << 4) - 32;
    return float(q) * (float(scale) * half_at(p, at + 108));
#elif defined(Q4_K) || defined(Q5_K)
    const uint g = j / 32;
#ifdef Q4_K
    const uint q = byte_at(p, at + 16 + 32 * (g / 2) + j % 32) >> 4 * (g % 2) & 15;
#else
    const uint q = (byte_at(p, at + 48 + 32 * (g / 2) + j % 32) >> 4 * (g % 2) & 15) | (byte_at(p, at + 16 + j % 32) >> g & 1) << 4;
#endif
    precise const float scaled = float(q) * (k4_scale(p, at + 4, g) * half_at(p, at));
    precise const float minimum = k4_minimum(p, at + 4, g) * half_at(p, at + 2);
    return scaled - minimum;
#elif defined(Q6_K)
    const uint half_ = j / 128, quarter = j / 32 % 4, i = j % 32;
    const uint low = byte_at(p, at + 64 * half_ + 32 * (quarter % 2) + i) >> (quarter < 2 ? 0 : 4) & 15;
    const int q = int(low | (byte_at(p, at + 128 + 32 * half_ + i) >> 2 * quarter & 3) << 4) - 32;
    return float(q) * (float(signed_byte_at(p, at + 192 + j / 16)) * half_at(p, at + 208));
#elif defined(IQ4_XS)
    const uint g = j / 32, low = byte_at(p, at + 4 + g / 2) >> 4 * (g % 2) & 15;
    const uint high = (byte_at(p, at + 2 + g / 4) >> 2 * (g % 4) & 3) << 4;
    return float(IQ4[nibble32(p, at + 8 + 16 * g, j % 32)]) * (float(int(low | high) - 32) * half_at(p, at));
#endif
}

// Value k of the row that begins at byte `row`.
float value_at(InWords p, uint row, uint k) {
    return value_of(p, row + k / BLOCK_VALUES * BLOCK_BYTES, k % BLOCK_VALUES);
}
