// One value of a panel of weights (kernels/panels.h), f32, for who reads few rows. One of Q4_0, Q8_0, Q4_K, Q6_K, BF16, F16
// is defined. `p` is the panel's begin.
uint panel_byte(InWords p, uint at) { return p.at[at / 4] >> 8 * (at % 4) & 255; }
int panel_signed(InWords p, uint at) { return bitfieldExtract(int(p.at[at / 4]), int(8 * (at % 4)), 8); }
float panel_half(InWords p, uint at) { return unpackHalf2x16(p.at[at / 4] >> 8 * (at % 4)).x; }

// The nibble of K = k, row r, of word groups that begin at byte `at`.
uint panel_nibble(InWords p, uint at, uint r, uint k) {
    return panel_byte(p, at + k / 8 * 64 + 4 * r + k % 4) >> (k % 8 < 4 ? 0 : 4) & 15;
}

float panel_value(InWords p, uint r, uint k) {
#if defined(Q4_0) || defined(Q8_0)
#ifdef Q4_0
    const uint UNIT = 576, BLOCK = 256;
#else
    const uint UNIT = 1088, BLOCK = 512;
#endif
    const uint unit = k / 64 * UNIT, block = k / 32 % 2, values = unit + 64 + block * BLOCK, i = k % 32;
    const float d = panel_half(p, unit + 32 * block + 2 * r);
#ifdef Q4_0
    return float(int(panel_nibble(p, values, r, i)) - 8) * d;
#else
    return float(int(panel_byte(p, values + i / 4 * 64 + 4 * r + i % 4)) - 128) * d;
#endif
#elif defined(Q4_K)
    const uint unit = k / 256 * 2304, g = k % 256 / 32, s = unit + 64 + r;
    const uint scale = g < 4 ? panel_byte(p, s + 16 * g) & 63
                             : (panel_byte(p, s + 16 * (g + 4)) & 15) | panel_byte(p, s + 16 * (g - 4)) >> 6 << 4;
    const uint least = g < 4 ? panel_byte(p, s + 16 * (g + 4)) & 63
                             : panel_byte(p, s + 16 * (g + 4)) >> 4 | panel_byte(p, s + 16 * g) >> 6 << 4;
    precise const float scaled = float(panel_nibble(p, unit + 256, r, k % 256)) * (float(scale) * panel_half(p, unit + 2 * r));
    precise const float minimum = float(least) * panel_half(p, unit + 32 + 2 * r);
    return scaled - minimum;
#elif defined(Q6_K)
    const uint unit = k / 256 * 3360, sub = unit + 288 + k % 256 / 16 * 192, i = k % 16;
    const uint high = panel_byte(p, sub + 128 + 4 * r + i % 4) >> 2 * (i / 4) & 3;
    const int scale = panel_signed(p, unit + 32 + k % 256 / 32 * 32 + 2 * r + k / 16 % 2);
    return float(int(panel_nibble(p, sub, r, i) + 16 * high) - 32) * (float(scale) * panel_half(p, unit + 2 * r));
#elif defined(BF16)
    return uintBitsToFloat(p.at[k / 2 * 16 + r] >> 16 * (k % 2) << 16);
#elif defined(F16)
    return panel_half(p, 2 * (k * 16 + r));
#endif
}
