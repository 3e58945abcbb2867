// Blocks of every writable format with a wanted spread; see synth_random.h. Layouts are those of
// kernels/formats.h: what a block means is written beside each maker.
#include "model/synth/random.h"

#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "kernels/half.h"

namespace lapidary::model {
namespace {

using kernels::Format;

// Primes, so that rows of any length start at a different place of the pool until all places are used up;
// 262147 is above the 12B's vocabulary, so no two rows of the embedding are equal.
constexpr size_t kPoolBlocks = 262147;
constexpr size_t kPoolValues = 4194301;
constexpr size_t kStep = 9973;  // blocks between the starts of two tensors
constexpr size_t kMaxPieceBytes = size_t{8} << 20;

void put_half(std::byte* at, float value) {
    const uint16_t bits = kernels::float_to_half(value);
    std::memcpy(at, &bits, sizeof bits);
}

// Triangular around 8, the rare 16 cut to 15.
uint32_t nibble(SynthRandom& random) { return std::min(random.below(9) + random.below(9), 15u); }

// Scales that differ from block to block, with a mean square of 1.
float scale_noise(SynthRandom& random) {
    constexpr float kRms = 1.006645f;  // sqrt(1 + 0.4^2 / 12)
    return (0.8f + 0.4f * random.unit()) / kRms;
}

// d, then 16 bytes of nibbles: d * (q - 8). Around 8 the nibbles have a mean square of 2 * 80/12 - 15/81.
void make_q4_0(std::byte* block, float deviation, SynthRandom& random) {
    put_half(block, deviation / 3.6260f * scale_noise(random));
    for (int i = 0; i < 16; i++) block[2 + i] = static_cast<std::byte>(nibble(random) | nibble(random) << 4);
}

// d, then 32 int8: d * q. Even from -127 to 127 they have a mean square of (255^2 - 1) / 12.
void make_q8_0(std::byte* block, float deviation, SynthRandom& random) {
    put_half(block, deviation / 73.612f * scale_noise(random));
    for (int i = 0; i < 32; i++)
        block[2 + i] = static_cast<std::byte>(static_cast<int>(random.below(255)) - 127);
}

// d, dmin, 8 pairs of 6-bit scale and minimum in 12 bytes, 128 bytes of nibbles: d * scale * q - dmin * min.
// With min = scale and dmin = 7.5 d that is d * scale * (q - 7.5); even nibbles have a mean square of 255
// / 12.
void make_q4_k(std::byte* block, float deviation, SynthRandom& random) {
    constexpr float kRmsScale = 48.389f;  // scales from 32 to 63
    const float d = deviation / 4.6098f / kRmsScale;
    put_half(block, d);
    put_half(block + 2, 7.5f * d);
    uint32_t scales[8];
    for (uint32_t& scale : scales) scale = 32 + random.below(32);
    for (int i = 0; i < 4; i++) {  // pairs 0-3 in six bits, pairs 4-7 as four bits and the two bits above
        const auto whole = static_cast<std::byte>(scales[i] | (scales[i + 4] >> 4) << 6);
        block[4 + i] = whole;
        block[8 + i] = whole;
        block[12 + i] = static_cast<std::byte>((scales[i + 4] & 15) | (scales[i + 4] & 15) << 4);
    }
    for (int i = 0; i < 128; i += 8) {
        const uint64_t bits = random.next();
        std::memcpy(block + 16 + i, &bits, sizeof bits);
    }
}

// 192 bytes of six-bit numbers, 16 int8 scales, d: d * scale * (q - 32). Around 32 even numbers have a mean
// square of 4095 / 12 + 1/4 and a mean of -1/2, which scales of both signs take away.
void make_q6_k(std::byte* block, float deviation, SynthRandom& random) {
    constexpr float kRmsScale = 41.152f;  // scales from 20 to 59
    for (int i = 0; i < 192; i += 8) {
        const uint64_t bits = random.next();
        std::memcpy(block + i, &bits, sizeof bits);
    }
    for (int i = 0; i < 16; i++) {
        const int scale = 20 + static_cast<int>(random.below(40));
        block[192 + i] = static_cast<std::byte>(random.below(2) ? scale : -scale);
    }
    put_half(block + 208, deviation / 18.480f / kRmsScale);
}

void make_block(Format format, std::byte* block, float deviation, SynthRandom& random) {
    switch (format) {
        case Format::q4_0: return make_q4_0(block, deviation, random);
        case Format::q8_0: return make_q8_0(block, deviation, random);
        case Format::q4_k: return make_q4_k(block, deviation, random);
        case Format::q6_k: return make_q6_k(block, deviation, random);
        case Format::f16: return put_half(block, deviation * random.normal());
        default: break;
    }
    const uint16_t bits = to_bfloat(deviation * random.normal());
    std::memcpy(block, &bits, sizeof bits);
}

}  // namespace

uint64_t SynthRandom::next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

float SynthRandom::normal() {
    uint32_t sum = 0;
    for (int i = 0; i < 3; i++) {
        const uint64_t bits = next();
        for (int part = 0; part < 64; part += 16) sum += static_cast<uint32_t>(bits >> part & 0xffff);
    }
    return static_cast<float>(sum) * 0x1p-16f - 6.0f;  // mean 0, variance 12 / 12
}

uint16_t to_bfloat(float value) {
    const uint32_t bits = kernels::float_bits(value);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

BlockPool::BlockPool(Format format, float deviation, uint64_t seed)
    : block_bytes_(static_cast<size_t>(kernels::block_bytes(format))) {
    bytes_.resize((kernels::is_quantised(format) ? kPoolBlocks : kPoolValues) * block_bytes_);
    SynthRandom random(seed);
    for (size_t at = 0; at < bytes_.size(); at += block_bytes_)
        make_block(format, bytes_.data() + at, deviation, random);
}

Result<void> BlockPool::tensor(uint64_t bytes, const SynthSink& sink) {
    size_t at = offset_;
    offset_ = (offset_ + kStep * block_bytes_) % bytes_.size();
    while (bytes > 0) {
        const auto piece =
            static_cast<size_t>(std::min<uint64_t>({bytes, bytes_.size() - at, uint64_t{kMaxPieceBytes}}));
        LAP_TRY(sink(bytes_.data() + at, piece));
        bytes -= piece;
        at = (at + piece) % bytes_.size();
    }
    return {};
}

}  // namespace lapidary::model
