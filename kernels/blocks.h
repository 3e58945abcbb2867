// The blocks of the quantised formats as they lie in a GGUF file, one drawing each.
// Plain bytes (alignment 1), so that any address in a mapped file is a valid block. Read by ref/expand.cpp,
// simd/expand_*.inl and the tests. d, m, dmin are little-endian f16; "lo/hi" are the nibbles of a byte.
#pragma once

#include "kernels/formats.h"

namespace lapidary::kernels {

// value[j] = (lo(qs[j]) - 8) d, value[16 + j] = (hi(qs[j]) - 8) d
//  0    2                 18
// | d  | qs: 16 bytes      |
struct BlockQ4_0 {
    uint8_t d[2];
    uint8_t qs[16];
};

// value[j] = lo(qs[j]) d + m, value[16 + j] = hi(qs[j]) d + m
//  0    2    4                 20
// | d  | m  | qs: 16 bytes      |
struct BlockQ4_1 {
    uint8_t d[2], m[2];
    uint8_t qs[16];
};

// Five bits: bit j of the 32-bit word qh is bit 4 of value j. value = (q - 16) d
//  0    2         6                  22
// | d  | qh: 4   | qs: 16 bytes      |
struct BlockQ5_0 {
    uint8_t d[2];
    uint8_t qh[4];
    uint8_t qs[16];
};

// As q5_0, but value = q d + m
//  0    2    4         8                  24
// | d  | m  | qh: 4   | qs: 16 bytes      |
struct BlockQ5_1 {
    uint8_t d[2], m[2];
    uint8_t qh[4];
    uint8_t qs[16];
};

// value[j] = qs[j] d
//  0    2                         34
// | d  | qs: 32 signed bytes        |
struct BlockQ8_0 {
    uint8_t d[2];
    int8_t qs[32];
};

// value[j] = kIq4Values[nibble] d, nibbles as in q4_0. The sixteen levels are closer together near zero.
//  0    2                 18
// | d  | qs: 16 bytes      |
struct BlockIq4Nl {
    uint8_t d[2];
    uint8_t qs[16];
};
// Not inline: every file has its own copy (see kernels/README.md, "One definition").
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// 256 values = 2 halves x 4 shifts x 2 groups of 16. Value 128 h + 32 s + i has the two bits
// qs[32 h + i] >> 2 s; group g = 8 h + 2 s + i / 16 has scale lo(scales[g]) d and minimum hi(scales[g]) dmin.
// value = q scale - minimum
//  0            16               80   82     84
// | scales: 16 | qs: 64 bytes    | d  | dmin |
struct BlockQ2K {
    uint8_t scales[16];
    uint8_t qs[64];
    uint8_t d[2], dmin[2];
};

// Order of values and groups as in q2_k. Bit 4 h + s of hmask[i] clear means "minus 4".
// Six-bit scale of group g: low bits in nibble g of scales[0..7] (lo of 0..7, then hi of 0..7), high two bits
// in scales[8 + g % 4] >> 2 (g / 4); 32 is taken off. value = (q - (mask ? 0 : 4)) (scale - 32) d
//  0           32              96            108  110
// | hmask: 32 | qs: 64 bytes  | scales: 12  | d  |
struct BlockQ3K {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint8_t d[2];
};

// 8 groups of 32: pair p (values 64 p ..) takes its first group from the low, its second from the high
// nibbles of qs[32 p .. 32 p + 31]. Six-bit scale and minimum of group g lie packed in scales:
//   g < 4: scale = scales[g] & 63, minimum = scales[g + 4] & 63
//   else:  scale = lo(scales[g + 4]) | scales[g - 4] >> 6 << 4, minimum = hi(scales[g + 4]) | scales[g] >> 6 << 4
// value = q scale d - minimum dmin
//  0    2      4             16                 144
// | d  | dmin | scales: 12  | qs: 128 bytes     |
struct BlockQ4K {
    uint8_t d[2], dmin[2];
    uint8_t scales[12];
    uint8_t qs[128];
};

// As q4_k with a fifth bit: bit g of qh[i] belongs to value i of group g.
//  0    2      4             16          48                176
// | d  | dmin | scales: 12  | qh: 32    | qs: 128 bytes     |
struct BlockQ5K {
    uint8_t d[2], dmin[2];
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
};

// Two halves of 128 = 4 quarters of 32. Quarter c of half h: low four bits from lo (c < 2) or hi (c >= 2) of
// ql[64 h + 32 (c % 2) + i], high two bits qh[32 h + i] >> 2 c. Scale of 16 values: scales[8 h + 2 c + i / 16].
// value = (q - 32) scale d
//  0               128         192             208  210
// | ql: 128 bytes | qh: 64    | scales: 16 i8 | d  |
struct BlockQ6K {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint8_t d[2];
};

// 8 blocks of 32 in iq4_nl's code. Six-bit scale of block b: nibble b of scales_l (lo first), high two bits
// scales_h >> 2 b; 32 is taken off. value = kIq4Values[nibble] (scale - 32) d
//  0    2          4            8                136
// | d  | scales_h | scales_l:4 | qs: 128 bytes   |
struct BlockIq4Xs {
    uint8_t d[2];
    uint8_t scales_h[2];
    uint8_t scales_l[4];
    uint8_t qs[128];
};

static_assert(sizeof(BlockQ4_0) == block_bytes(Format::q4_0) && sizeof(BlockQ4_1) == block_bytes(Format::q4_1));
static_assert(sizeof(BlockQ5_0) == block_bytes(Format::q5_0) && sizeof(BlockQ5_1) == block_bytes(Format::q5_1));
static_assert(sizeof(BlockQ8_0) == block_bytes(Format::q8_0) && sizeof(BlockQ2K) == block_bytes(Format::q2_k));
static_assert(sizeof(BlockQ3K) == block_bytes(Format::q3_k) && sizeof(BlockQ4K) == block_bytes(Format::q4_k));
static_assert(sizeof(BlockQ5K) == block_bytes(Format::q5_k) && sizeof(BlockQ6K) == block_bytes(Format::q6_k));
static_assert(sizeof(BlockIq4Nl) == block_bytes(Format::iq4_nl));
static_assert(sizeof(BlockIq4Xs) == block_bytes(Format::iq4_xs));

}  // namespace lapidary::kernels
