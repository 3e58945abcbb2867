// Expansion of every format: blocks made by hand, whose values follow from the drawings in kernels/blocks.h.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/blocks.h"
#include "tests/kernels/fixtures.h"
#include "tests/kernels/walk.h"

using namespace lapidary;
using namespace lapidary::test;
namespace {

using kernels::Format;

const Walk kExpand({"expand"}, Compare::bits);

template <class Block>
std::vector<float> expand(Format format, const Block& block) {
    Guarded<uint8_t> bytes(sizeof block);
    memcpy(bytes.data(), &block, sizeof block);
    std::vector<float> first;
    for (const KernelRow& row : kExpand.of(format)) {
        Guarded<float> out(kernels::block_values(format));
        row.table->expand[static_cast<int>(format)](bytes.data(), out.size(), out.data());
        if (first.empty()) first.assign(out.begin(), out.end());
        CHECK(std::equal(first.begin(), first.end(), out.begin()));
    }
    return first;
}

// Nibbles 0..15 twice: value j has the nibble j % 16 in the low half and 15 - j % 16 in the high half.
void put_nibbles(uint8_t* qs, int bytes) {
    for (int i = 0; i < bytes; ++i) qs[i] = static_cast<uint8_t>(i % 16 | (15 - i % 16) << 4);
}
int nibble(int j) { return j % 32 < 16 ? j % 16 : 15 - j % 16; }

}  // namespace

TEST_CASE("expand: plain formats") {
    const float f32[3] = {1.5f, -0.0f, 3e38f};
    const uint16_t f16[5] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00}, bf16[3] = {0x3f80, 0xc040, 0x7f80};
    float out[5];
    for (const KernelRow& row : kExpand.of(Format::f32)) {
        row.table->expand[static_cast<int>(Format::f32)](f32, 3, out);
        CHECK(memcmp(out, f32, sizeof f32) == 0);
    }
    for (const KernelRow& row : kExpand.of(Format::f16)) {
        row.table->expand[static_cast<int>(Format::f16)](f16, 5, out);
        CHECK(out[0] == 1.0f);
        CHECK(out[1] == -2.0f);
        CHECK(out[2] == std::ldexp(1.0f, -24));
        CHECK(out[3] == 65504.0f);
        CHECK(out[4] == -INFINITY);
    }
    for (const KernelRow& row : kExpand.of(Format::bf16)) {
        row.table->expand[static_cast<int>(Format::bf16)](bf16, 3, out);
        CHECK(out[0] == 1.0f);
        CHECK(out[1] == -3.0f);
        CHECK(out[2] == INFINITY);
    }
}

TEST_CASE("expand: four and five bits in blocks of 32") {
    kernels::BlockQ4_0 q4_0{};
    kernels::BlockQ4_1 q4_1{};
    kernels::BlockQ5_0 q5_0{};
    kernels::BlockQ5_1 q5_1{};
    kernels::BlockIq4Nl iq4{};
    for (uint8_t* d : {q4_0.d, q4_1.d, q5_0.d, q5_1.d, iq4.d}) put_half(d, 0.5f);
    for (uint8_t* m : {q4_1.m, q5_1.m}) put_half(m, -3.0f);
    for (uint8_t* qs : {q4_0.qs, q4_1.qs, q5_0.qs, q5_1.qs, iq4.qs}) put_nibbles(qs, 16);
    const uint32_t fifth = 0xa5c30f18;
    memcpy(q5_0.qh, &fifth, 4);
    memcpy(q5_1.qh, &fifth, 4);
    const auto v4_0 = expand(Format::q4_0, q4_0), v4_1 = expand(Format::q4_1, q4_1);
    const auto v5_0 = expand(Format::q5_0, q5_0), v5_1 = expand(Format::q5_1, q5_1);
    const auto vnl = expand(Format::iq4_nl, iq4);
    for (int j = 0; j < 32; ++j) {
        CAPTURE(j);
        const size_t i = static_cast<size_t>(j);
        const int q = nibble(j), q5 = q + (fifth >> j & 1 ? 16 : 0);
        CHECK(v4_0[i] == 0.5f * static_cast<float>(q - 8));
        CHECK(v4_1[i] == 0.5f * static_cast<float>(q) - 3.0f);
        CHECK(v5_0[i] == 0.5f * static_cast<float>(q5 - 16));
        CHECK(v5_1[i] == 0.5f * static_cast<float>(q5) - 3.0f);
        CHECK(vnl[i] == 0.5f * static_cast<float>(kernels::kIq4Values[q]));
    }
}

TEST_CASE("expand: q8_0") {
    kernels::BlockQ8_0 block{};
    put_half(block.d, 0.25f);
    for (int j = 0; j < 32; ++j) block.qs[j] = static_cast<int8_t>(8 * j - 128);
    const auto v = expand(Format::q8_0, block);
    for (int j = 0; j < 32; ++j) CHECK(v[static_cast<size_t>(j)] == 0.25f * static_cast<float>(8 * j - 128));
}

TEST_CASE("expand: q2_k") {
    kernels::BlockQ2K block{};
    put_half(block.d, 2.0f);
    put_half(block.dmin, 0.5f);
    for (int g = 0; g < 16; ++g) block.scales[g] = static_cast<uint8_t>(g | (15 - g) << 4);
    for (int i = 0; i < 64; ++i) block.qs[i] = 0b11'10'01'00;  // shift s holds the value s
    const auto v = expand(Format::q2_k, block);
    for (int j = 0; j < 256; ++j) {
        const int group = j / 16, q = j / 32 % 4;
        CHECK(v[static_cast<size_t>(j)] == static_cast<float>(2 * group * q) - 0.5f * static_cast<float>(15 - group));
    }
}

TEST_CASE("expand: q3_k") {
    kernels::BlockQ3K block{};
    put_half(block.d, 1.0f);
    // Scales 0..15 + 16 g' with g' = g / 4 in the high bits: low nibble g, high two bits g / 4.
    for (int g = 0; g < 8; ++g) block.scales[g] = static_cast<uint8_t>(g | (g + 8) << 4);
    for (int i = 0; i < 4; ++i) block.scales[8 + i] = 0b11'10'01'00;
    for (int i = 0; i < 64; ++i) block.qs[i] = 0b11'10'01'00;
    for (int i = 0; i < 32; ++i) block.hmask[i] = 0b0110'1001;
    const auto v = expand(Format::q3_k, block);
    for (int j = 0; j < 256; ++j) {
        const int group = j / 16, scale = (group | group / 4 << 4) - 32, q = j / 32 % 4;
        const bool kept = (0b0110'1001 >> j / 32 & 1) != 0;
        CHECK(v[static_cast<size_t>(j)] == static_cast<float>(scale * (q - (kept ? 0 : 4))));
    }
}

TEST_CASE("expand: q4_k and q5_k") {
    // Scale of group g is 5 g + 7, minimum 63 - 3 g, packed as six bits.
    const auto scale = [](int g) { return 5 * g + 7; };
    const auto minimum = [](int g) { return 63 - 3 * g; };
    uint8_t packed[12] = {};
    for (int g = 0; g < 4; ++g) {
        packed[g] = static_cast<uint8_t>(scale(g) | scale(g + 4) >> 4 << 6);
        packed[g + 4] = static_cast<uint8_t>(minimum(g) | minimum(g + 4) >> 4 << 6);
        packed[g + 8] = static_cast<uint8_t>((scale(g + 4) & 15) | (minimum(g + 4) & 15) << 4);
    }
    kernels::BlockQ4K q4{};
    kernels::BlockQ5K q5{};
    memcpy(q4.scales, packed, 12);
    memcpy(q5.scales, packed, 12);
    for (uint8_t* d : {q4.d, q5.d}) put_half(d, 0.5f);
    for (uint8_t* d : {q4.dmin, q5.dmin}) put_half(d, 0.25f);
    put_nibbles(q4.qs, 128);
    put_nibbles(q5.qs, 128);
    for (int i = 0; i < 32; ++i) q5.qh[i] = 0b1001'0110;
    const auto v4 = expand(Format::q4_k, q4), v5 = expand(Format::q5_k, q5);
    for (int j = 0; j < 256; ++j) {
        const int g = j / 32, i = j % 32, q = g % 2 == 0 ? i % 16 : 15 - i % 16;
        const int fifth = (0b1001'0110 >> g & 1) * 16;
        const float offset = 0.25f * static_cast<float>(minimum(g));
        CHECK(v4[static_cast<size_t>(j)] == 0.5f * static_cast<float>(q * scale(g)) - offset);
        CHECK(v5[static_cast<size_t>(j)] == 0.5f * static_cast<float>((q + fifth) * scale(g)) - offset);
    }
}

TEST_CASE("expand: q6_k") {
    kernels::BlockQ6K block{};
    put_half(block.d, 0.125f);
    for (int g = 0; g < 16; ++g) block.scales[g] = static_cast<int8_t>(15 * g - 120);
    put_nibbles(block.ql, 128);
    for (int i = 0; i < 64; ++i) block.qh[i] = 0b11'10'01'00;  // quarter c has the high bits c
    const auto v = expand(Format::q6_k, block);
    for (int j = 0; j < 256; ++j) {
        const int quarter = j / 32 % 4, i = j % 16, low = quarter < 2 ? i : 15 - i;
        const int q = (low | quarter << 4) - 32;
        CHECK(v[static_cast<size_t>(j)] == 0.125f * static_cast<float>((15 * (j / 16) - 120) * q));
    }
}

TEST_CASE("expand: iq4_xs") {
    kernels::BlockIq4Xs block{};
    put_half(block.d, 0.5f);
    uint16_t high = 0;
    for (int g = 0; g < 8; ++g) {  // scale 8 g + 1
        const int s = 8 * g + 1;
        block.scales_l[g / 2] = static_cast<uint8_t>(block.scales_l[g / 2] | (s & 15) << 4 * (g % 2));
        high = static_cast<uint16_t>(high | (s >> 4) << 2 * g);
    }
    memcpy(block.scales_h, &high, 2);
    put_nibbles(block.qs, 128);
    const auto v = expand(Format::iq4_xs, block);
    for (int j = 0; j < 256; ++j) {
        const float scale = 0.5f * static_cast<float>(8 * (j / 32) + 1 - 32);
        CHECK(v[static_cast<size_t>(j)] == scale * static_cast<float>(kernels::kIq4Values[nibble(j)]));
    }
}

TEST_CASE("expanding many blocks is expanding each, without touching what follows") {
    Random random(3);
    for (const KernelRow& row : kExpand.rows()) {
        const int64_t values = row.multiple, bytes = kernels::row_bytes(row.weights, values);
        Guarded<uint8_t> weights(5 * bytes);
        random_weights(random, row.weights, 5 * values, weights.data());
        const auto slot = static_cast<size_t>(row.weights);
        Guarded<float> together(5 * values), single(5 * values), expected(5 * values);
        row.table->expand[slot](weights.data(), 5 * values, together.data());
        for (int i = 0; i < 5; ++i) row.table->expand[slot](weights.data() + i * bytes, values, single.data() + i * values);
        reference().expand[slot](weights.data(), 5 * values, expected.data());
        CAPTURE(row.function);
        CHECK(together.same_bytes(single));
        CHECK(together.same_bytes(expected));
    }
}
