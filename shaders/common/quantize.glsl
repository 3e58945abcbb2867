// Rows to the int8 image that products take (kernels/ref/quantize_panel.cpp): q = round(x / s), s = max |x| / 127 over each
// 256 K of a column. In memory: q [T][K], four to a word, then s f32 [T][K/256].
// 64 neighbouring threads do a group, four values each; the workgroup is a multiple of 64 threads.
shared uint quantize_lanes[gl_WorkGroupSize.x];

uint magnitude_bits(float x) { return floatBitsToUint(x) & 0x7fffffffu; }

// The largest of 64 threads. Without the sign, the bits of floats order as the values do, NaN last.
uint max_of_64(uint mine) {
    const uint lane = gl_LocalInvocationIndex, first = lane & ~63u;
    barrier();  // what was there before has been read
    quantize_lanes[lane] = mine;
    barrier();
    if (lane - first < 8) {
        [[unroll]] for (uint i = 8; i < 64; i += 8) mine = max(mine, quantize_lanes[lane + i]);
        quantize_lanes[lane] = mine;
    }
    barrier();
    [[unroll]] for (uint i = 0; i < 8; ++i) mine = max(mine, quantize_lanes[first + i]);
    return mine;
}

// Values 4 l to 4 l + 3 of a group, l = the thread's number modulo 64, as four int8; every thread of the workgroup calls.
// All 64 get the scale. A group without a usable one keeps q = 0: scale 0 when it is (almost) zero, infinite or NaN
// where a value is.
uint quantize_four(vec4 x, out float scale) {
    const uint largest = max_of_64(max(max(magnitude_bits(x.x), magnitude_bits(x.y)), max(magnitude_bits(x.z), magnitude_bits(x.w))));
    scale = uintBitsToFloat(largest);
    if (largest >= 0x7f800000u) return 0;
    scale /= 127.0;
    if (floatBitsToUint(scale) < 0x00800000u) {
        scale = 0;
        return 0;
    }
    // A division that rounds otherwise must not reach 128.
    const ivec4 q = ivec4(clamp(roundEven(x / scale), -127.0, 127.0)) & 255;
    return uint(q.x | q.y << 8 | q.z << 16 | q.w << 24);
}

// Stores both at group `group` of column `t`, of `columns` with `k` values each.
void store_quantized(Words image, uint q, float scale, uint t, uint group, uint k, uint columns) {
    const uint lane = gl_LocalInvocationIndex % 64;
    image.at[t * (k / 4) + group * 64 + lane] = q;
    if (lane == 0) image.at[columns * (k / 4) + t * (k / 256) + group] = floatBitsToUint(scale);
}
