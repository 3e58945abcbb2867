// Reference: every weight format to f32, one value at a time. The formulas stand next to the drawings in
// kernels/blocks.h. These are also the slow path of the vector matmuls for rare formats.
#include "kernels/blocks.h"
#include "kernels/declare.h"
#include "kernels/half.h"

namespace lapidary::kernels::ref {
namespace {

float half_at(const uint8_t* bytes) { return half_to_float(load_u16(bytes)); }

// Nibble `j` of 32 values in 16 bytes: value j in the low half of byte j, value 16 + j in the high half.
int nibble32(const uint8_t* qs, int j) { return j < 16 ? qs[j] & 15 : qs[j - 16] >> 4; }

// Bit 4 of value `j` in a 32-bit little-endian word.
int fifth_bit(const uint8_t* qh, int j) { return (qh[j / 8] >> (j % 8) & 1) << 4; }

template <class Block, class Value>
void expand_blocks(const void* blocks, int64_t count, float* out, Value value) {
    constexpr int64_t kValues = sizeof(Block) <= sizeof(BlockQ8_0) ? 32 : 256;
    const auto* block = static_cast<const Block*>(blocks);
    for (int64_t i = 0; i < count; i += kValues, ++block) {
        for (int j = 0; j < kValues; ++j) out[i + j] = value(*block, j);
    }
}

// Scale and minimum of group g of q4_k and q5_k: see BlockQ4K.
int k4_scale(const uint8_t* s, int g) { return g < 4 ? s[g] & 63 : (s[g + 4] & 15) | (s[g - 4] >> 6) << 4; }
int k4_minimum(const uint8_t* s, int g) { return g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | (s[g] >> 6) << 4; }

int k3_scale(const uint8_t* s, int g) {
    const int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
    return (low | (s[8 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32;
}

}  // namespace

void expand_f32(const void* blocks, int64_t count, float* out) {
    memcpy(out, blocks, static_cast<size_t>(count) * sizeof(float));
}

void expand_f16(const void* blocks, int64_t count, float* out) {
    const auto* bytes = static_cast<const uint8_t*>(blocks);
    for (int64_t i = 0; i < count; ++i) out[i] = half_at(bytes + 2 * i);
}

void expand_bf16(const void* blocks, int64_t count, float* out) {
    const auto* bytes = static_cast<const uint8_t*>(blocks);
    for (int64_t i = 0; i < count; ++i) out[i] = bfloat_to_float(load_u16(bytes + 2 * i));
}

void expand_q4_0(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ4_0>(blocks, count, out, [](const BlockQ4_0& b, int j) {
        return static_cast<float>(nibble32(b.qs, j) - 8) * half_at(b.d);
    });
}

void expand_q4_1(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ4_1>(blocks, count, out, [](const BlockQ4_1& b, int j) {
        return static_cast<float>(nibble32(b.qs, j)) * half_at(b.d) + half_at(b.m);
    });
}

void expand_q5_0(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ5_0>(blocks, count, out, [](const BlockQ5_0& b, int j) {
        return static_cast<float>((nibble32(b.qs, j) | fifth_bit(b.qh, j)) - 16) * half_at(b.d);
    });
}

void expand_q5_1(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ5_1>(blocks, count, out, [](const BlockQ5_1& b, int j) {
        return static_cast<float>(nibble32(b.qs, j) | fifth_bit(b.qh, j)) * half_at(b.d) + half_at(b.m);
    });
}

void expand_q8_0(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ8_0>(blocks, count, out, [](const BlockQ8_0& b, int j) {
        return static_cast<float>(b.qs[j]) * half_at(b.d);
    });
}

void expand_iq4_nl(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockIq4Nl>(blocks, count, out, [](const BlockIq4Nl& b, int j) {
        return static_cast<float>(kIq4Values[nibble32(b.qs, j)]) * half_at(b.d);
    });
}

void expand_q2_k(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ2K>(blocks, count, out, [](const BlockQ2K& b, int j) {
        const int half = j / 128, shift = j / 32 % 4, i = j % 32, group = j / 16;
        const int q = b.qs[32 * half + i] >> 2 * shift & 3;
        const float scale = static_cast<float>(b.scales[group] & 15) * half_at(b.d);
        const float minimum = static_cast<float>(b.scales[group] >> 4) * half_at(b.dmin);
        return static_cast<float>(q) * scale - minimum;
    });
}

void expand_q3_k(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ3K>(blocks, count, out, [](const BlockQ3K& b, int j) {
        const int half = j / 128, shift = j / 32 % 4, i = j % 32;
        const int q = (b.qs[32 * half + i] >> 2 * shift & 3) - (b.hmask[i] >> (4 * half + shift) & 1 ? 0 : 4);
        return static_cast<float>(q) * (static_cast<float>(k3_scale(b.scales, j / 16)) * half_at(b.d));
    });
}

void expand_q4_k(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ4K>(blocks, count, out, [](const BlockQ4K& b, int j) {
        const int group = j / 32, byte = b.qs[32 * (group / 2) + j % 32];
        const int q = group % 2 == 0 ? byte & 15 : byte >> 4;
        const float scale = static_cast<float>(k4_scale(b.scales, group)) * half_at(b.d);
        return static_cast<float>(q) * scale - static_cast<float>(k4_minimum(b.scales, group)) * half_at(b.dmin);
    });
}

void expand_q5_k(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ5K>(blocks, count, out, [](const BlockQ5K& b, int j) {
        const int group = j / 32, byte = b.qs[32 * (group / 2) + j % 32];
        const int q = (group % 2 == 0 ? byte & 15 : byte >> 4) | (b.qh[j % 32] >> group & 1) << 4;
        const float scale = static_cast<float>(k4_scale(b.scales, group)) * half_at(b.d);
        return static_cast<float>(q) * scale - static_cast<float>(k4_minimum(b.scales, group)) * half_at(b.dmin);
    });
}

void expand_q6_k(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockQ6K>(blocks, count, out, [](const BlockQ6K& b, int j) {
        const int half = j / 128, quarter = j / 32 % 4, i = j % 32;
        const int byte = b.ql[64 * half + 32 * (quarter % 2) + i];
        const int low = quarter < 2 ? byte & 15 : byte >> 4;
        const int q = (low | (b.qh[32 * half + i] >> 2 * quarter & 3) << 4) - 32;
        return static_cast<float>(q) * (static_cast<float>(b.scales[j / 16]) * half_at(b.d));
    });
}

void expand_iq4_xs(const void* blocks, int64_t count, float* out) {
    expand_blocks<BlockIq4Xs>(blocks, count, out, [](const BlockIq4Xs& b, int j) {
        const int group = j / 32;
        const int low = b.scales_l[group / 2] >> 4 * (group % 2) & 15;
        const int high = load_u16(b.scales_h) >> 2 * group & 3;
        const float scale = static_cast<float>((low | high << 4) - 32) * half_at(b.d);
        return static_cast<float>(kIq4Values[nibble32(b.qs + 16 * group, j % 32)]) * scale;
    });
}

}  // namespace lapidary::kernels::ref
