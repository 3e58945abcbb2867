// Panels of weights (kernels/panels.h), one block at a time: UNIT values of K of four rows, `quad` of a panel's four quads.
// One of Q4_0, Q8_0, Q4_K, Q6_K, BF16, F16 is defined. Of quantised formats w[i][r] is K = 4i to 4i + 3 of row r as four
// signed bytes; what they count in is in the scales. A piece is a quarter of a block: two w. Loads are of 16 bytes; four neighbouring threads with quads 0 to 3
// take 64 that lie together.
struct Block {
    uvec4 w[8];
    vec4 a, b;  // scales; their meaning by format
};

#if defined(BF16) || defined(F16)
const uint UNIT = 16;
#else
const uint UNIT = 32;
#endif

vec4 halves(uvec2 four) { return vec4(unpackHalf2x16(four.x), unpackHalf2x16(four.y)); }
vec4 unsigned_bytes(uint four) { return vec4(four & 255, four >> 8 & 255, four >> 16 & 255, four >> 24); }

#if defined(Q4_0) || defined(Q8_0)
// Units of 64 K: scales of two blocks, then their values.
#ifdef Q4_0
const uint UNIT_WORDS4 = 36, BLOCK_WORDS4 = 16;
#else
const uint UNIT_WORDS4 = 68, BLOCK_WORDS4 = 32;
#endif
InWords4 values_of(uvec2 panel, uint block, uint quad) {
    return InWords4(advance(panel, 16 * (block / 2 * UNIT_WORDS4 + 4 + block % 2 * BLOCK_WORDS4 + quad)));
}

void load_scales(uvec2 panel, uint block, uint quad, out vec4 a, out vec4 b) {
    a = halves(InWords2(advance(panel, block / 2 * (16 * UNIT_WORDS4) + block % 2 * 32 + 8 * quad)).at[0]);
    b = vec4(0);
#ifdef Q4_0
    a *= 0.0625;
#endif
}
#endif

#ifdef Q4_0
// A nibble n with its highest bit flipped, in the high half of a byte, is 16 (n - 8) as a signed byte.
void load_piece(uvec2 panel, uint block, uint quad, uint piece, out uvec4 first, out uvec4 second) {
    const uvec4 raw = values_of(panel, block, quad).at[4 * piece] ^ 0x88888888u;
    first = raw << 4 & 0xf0f0f0f0u;
    second = raw & 0xf0f0f0f0u;
}
#endif

#ifdef Q8_0
void load_piece(uvec2 panel, uint block, uint quad, uint piece, out uvec4 first, out uvec4 second) {
    first = values_of(panel, block, quad).at[8 * piece] ^ 0x80808080u;
    second = values_of(panel, block, quad).at[8 * piece + 4] ^ 0x80808080u;
}
#endif

#ifdef Q4_K
void load_piece(uvec2 panel, uint block, uint quad, uint piece, out uvec4 first, out uvec4 second) {
    const uvec4 raw = InWords4(advance(panel, 16 * (block / 8 * 144 + 16 + block % 8 * 16 + quad))).at[4 * piece];
    first = raw & 0x0f0f0f0fu;
    second = raw >> 4 & 0x0f0f0f0fu;
}
// a: scale d, b: minimum dmin. The six bits of four rows lie in the bytes of a word.
void load_scales(uvec2 panel, uint block, uint quad, out vec4 a, out vec4 b) {
    const uvec2 unit = advance(panel, block / 8 * 2304 + 4 * quad);
    const uint g = block % 8;
    InWords words = InWords(advance(unit, 64));
    const uint low = words.at[4 * (g & 3)], middle = words.at[4 * (g & 3) + 16], last = words.at[4 * (g & 3) + 32];
    const bool first = g < 4;
    const uint scale = first ? low & 0x3f3f3f3fu : (last & 0x0f0f0f0fu) | (low >> 2 & 0x30303030u);
    const uint minimum = first ? middle & 0x3f3f3f3fu : (last >> 4 & 0x0f0f0f0fu) | (middle >> 2 & 0x30303030u);
    InWords2 factors = InWords2(advance(unit, 4 * quad));
    a = halves(factors.at[0]) * unsigned_bytes(scale);
    b = halves(factors.at[4]) * unsigned_bytes(minimum);
}
#endif

#ifdef Q6_K
// Six bits with the highest flipped, at the top of a byte, are 4 (value - 32).
void load_piece(uvec2 panel, uint block, uint quad, uint piece, out uvec4 first, out uvec4 second) {
    InWords4 values = InWords4(advance(panel, 16 * (block / 8 * 210 + 18 + 24 * (block % 8) + quad)));
    const uvec4 low = values.at[12 * (piece / 2) + 4 * (piece % 2)];
    const uvec4 high = (values.at[12 * (piece / 2) + 8] ^ 0xaaaaaaaau) >> 4 * (piece % 2);
    first = (low << 2 & 0x3c3c3c3cu) | (high << 6 & 0xc0c0c0c0u);
    second = (low >> 2 & 0x3c3c3c3cu) | (high << 4 & 0xc0c0c0c0u);
}
// a: scale d of the first 16 K, b: of the others. Two rows a word, two scales a row.
void load_scales(uvec2 panel, uint block, uint quad, out vec4 a, out vec4 b) {
    const uvec2 unit = advance(panel, block / 8 * 3360 + 8 * quad);
    const vec4 d = halves(InWords2(unit).at[0]) * 0.25;
    const ivec2 s = ivec2(InWords2(advance(unit, 32 + block % 8 * 32)).at[0]);
    a = d * vec4(s.x << 24 >> 24, s.x << 8 >> 24, s.y << 24 >> 24, s.y << 8 >> 24);
    b = d * vec4(s.x << 16 >> 24, s.x >> 24, s.y << 16 >> 24, s.y >> 24);
}
#endif

#if defined(BF16) || defined(F16)
void load_scales(uvec2 panel, uint block, uint quad, out vec4 a, out vec4 b) { a = b = vec4(0); }
#endif

#ifdef BF16
void load_piece(uvec2 panel, uint block, uint quad, uint piece, out uvec4 first, out uvec4 second) {
    InWords4 values = InWords4(advance(panel, 16 * (32 * block + quad)));
    first = values.at[8 * piece];
    second = values.at[8 * piece + 4];
}
// Values 2i and 2i + 1 of K, of w[i].
void floats_of(uvec4 w, vec4 a, vec4 b, out vec4 f[UNIT / 8]) {
    f[0] = uintBitsToFloat(w << 16);
    f[1] = uintBitsToFloat(w & 0xffff0000u);
}
#elif defined(F16)
void load_piece(uvec2 panel, uint block, uint quad, uint piece, out uvec4 first, out uvec4 second) {
    InWords2 values = InWords2(advance(panel, 8 * (64 * block + quad)));
    first = uvec4(values.at[16 * piece], values.at[16 * piece + 4]);
    second = uvec4(values.at[16 * piece + 8], values.at[16 * piece + 12]);
}
void floats_of(uvec4 w, vec4 a, vec4 b, out vec4 f[UNIT / 8]) {
    f[0] = halves(w.xy);
    f[1] = halves(w.zw);
}
#else
// Values 4i to 4i + 3 of K, each of four rows, of w[i] and its scales: as kernels/ref/expand.cpp gives them, for all
// products but the last are exact. In Q6_K the second half has the scale b: the caller gives it as a.
void floats_of(uvec4 w, vec4 a, vec4 b, out vec4 f[UNIT / 8]) {
    [[unroll]] for (int j = 0; j < 4; ++j) {
        const vec4 q = vec4(ivec4(w) << 24 - 8 * j >> 24);
#ifdef Q4_K
        f[j] = q * a - b;
#else
        f[j] = q * a;
#endif
    }
}
#endif

void load_block(uvec2 panel, uint block, uint quad, out Block b) {
    [[unroll]] for (uint piece = 0; piece < 4; ++piece)
        load_piece(panel, block, quad, piece, b.w[2 * piece], b.w[2 * piece + 1]);
    load_scales(panel, block, quad, b.a, b.b);
}

#ifdef DOT
#include "common/dots.glsl"
// The block times 32 values of a column's image.
vec4 block_dots(Block b, uvec4 first, uvec4 second) {
    ivec4 sum = ivec4(0), more = ivec4(0);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        sum += dots(b.w[i], first[i]);
        more += dots(b.w[i + 4], second[i]);
    }
#ifdef Q4_K
    int sum_of_x = 0;
    [[unroll]] for (uint i = 0; i < 4; ++i) sum_of_x += sum_of_bytes(first[i]) + sum_of_bytes(second[i]);
    precise const vec4 value = fma(-b.b, vec4(sum_of_x), b.a * vec4(sum + more));
#elif defined(Q6_K)
    precise const vec4 value = fma(b.b, vec4(more), b.a * vec4(sum));
#else
    precise const vec4 value = b.a * vec4(sum + more);
#endif
    return value;
}
#endif
