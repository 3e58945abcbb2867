// The first `size` of head_values into a row of a plane, in the cache's format: F32, F16 or Q8_0, rounded as
// kernels/ref/kv.cpp does. Needs `segments` and `layer`.

// To nearest, ties to even, by the bits: packHalf2x16 may round as it likes.
uint half_of(float value) {
    const uint bits = floatBitsToUint(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00u | (magnitude >> 13 & 0x3ffu);
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more
    if (magnitude >= 0x38800000u) return sign | (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    const uint shift = 126u - (magnitude >> 23);  // below 2^-14: units of 2^-24
    if (shift > 24u) return sign;
    const uint fraction = (magnitude & 0x7fffffu) | 0x800000u;
    return sign | (fraction + (1u << (shift - 1u)) - 1u + (fraction >> shift & 1u)) >> shift;
}

// The scale of 32 values from `from` on: their largest magnitude / 127, as a half.
uint scale_of(uint from) {
    uint largest = 0;
    for (uint i = from; i < from + 32; ++i) largest = max(largest, floatBitsToUint(head_values[i]) & 0x7fffffffu);
    return half_of(uintBitsToFloat(largest) / 127.0);
}

uint byte_of(float value, float scale) {
    return uint(int(clamp(roundEven(value / scale), -127.0, 127.0))) & 0xffu;
}

void store_row(uint segment, uint plane, uint head, uint at, uint size) {
    const uvec2 row = advance_product(plane_of(segments, layer, segment, plane, head), at, layer.row[plane]);
    const uint lane = gl_LocalInvocationIndex;
#if defined(F32)
    for (uint i = lane; i < size; i += gl_WorkGroupSize.x) Floats(row).at[i] = head_values[i];
#elif defined(F16)
    for (uint i = lane; i < size / 2; i += gl_WorkGroupSize.x)
        Words(row).at[i] = half_of(head_values[2 * i]) | half_of(head_values[2 * i + 1]) << 16;
#else
    for (uint i = lane; i < size / 4; i += gl_WorkGroupSize.x) {
        const uint half_ = scale_of(i / 8 * 32);
        const bool usable = half_ > 0 && half_ < 0x7c00u;
        const float scale = unpackHalf2x16(half_).x;
        uint word = 0;
        for (uint v = 0; v < 4; ++v)
            if (usable) word |= byte_of(head_values[4 * i + v], scale) << (8 * v);
        Words(row).at[i] = word;
    }
    // Two scales a word; behind an odd number of them the row is padding.
    const uvec2 scales = advance_product(plane_of(segments, layer, segment, plane + 2, head), at, layer.row[plane + 2]);
    for (uint i = lane; i < (size + 63) / 64; i += gl_WorkGroupSize.x) {
        uint word = scale_of(64 * i);
        if (64 * i + 32 < size) word |= scale_of(64 * i + 32) << 16;
        Words(scales).at[i] = word;
    }
#endif
}
