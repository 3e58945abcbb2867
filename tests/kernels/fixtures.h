// What the kernel tests share: the reference, random values, random blocks of every format, scratch. The walk over all
// kernels is in walk.h.
#pragma once

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/half.h"
#include "kernels/select.h"
#include "tests/support/guarded.h"

namespace lapidary::test {

inline const kernels::KernelTable& reference() { return *kernels::select("ref", nullptr); }

class Random {
  public:
    explicit Random(uint32_t seed) : engine_(seed) {}
    float uniform(float low, float high) {
        return low + (high - low) * static_cast<float>(engine_() >> 8) * (1.0f / 16777216.0f);
    }
    uint8_t byte() { return static_cast<uint8_t>(engine_() >> 24); }
    void fill(float* values, int64_t count, float scale = 1) {
        for (int64_t i = 0; i < count; ++i) values[i] = uniform(-scale, scale);
    }

  private:
    std::mt19937 engine_;
};

// Offsets of the f16 fields of a block, -1 for none.
struct HalfFields {
    int first, second;
};
inline HalfFields half_fields(kernels::Format format) {
    using kernels::Format;
    switch (format) {
        case Format::q4_1: case Format::q5_1: case Format::q4_k: case Format::q5_k: return {0, 2};
        case Format::q2_k: return {80, 82};
        case Format::q3_k: return {108, -1};
        case Format::q6_k: return {208, -1};
        default: return {0, -1};
    }
}

inline void put_half(uint8_t* at, float value) {
    const uint16_t half = kernels::float_to_half(value);
    memcpy(at, &half, sizeof half);
}

// `values` weights of any format: random bits, with scales of a sensible size.
inline void random_weights(Random& random, kernels::Format format, int64_t values, uint8_t* out) {
    const int64_t bytes = kernels::block_bytes(format);
    for (int64_t block = 0; block < values / kernels::block_values(format); ++block, out += bytes) {
        const float value = random.uniform(-1, 1);
        if (format == kernels::Format::f32) {
            memcpy(out, &value, sizeof value);
        } else if (format == kernels::Format::f16) {
            put_half(out, value);
        } else if (format == kernels::Format::bf16) {
            const auto top = static_cast<uint16_t>(kernels::float_bits(value) >> 16);
            memcpy(out, &top, sizeof top);
        } else {
            for (int64_t i = 0; i < bytes; ++i) out[i] = random.byte();
            const HalfFields fields = half_fields(format);
            put_half(out + fields.first, random.uniform(-0.01f, 0.01f));
            if (fields.second >= 0) put_half(out + fields.second, random.uniform(-0.01f, 0.01f));
        }
    }
}

// Scratch memory, aligned to 64 bytes and guarded at its end (the sizes are multiples of 64).
using Scratch = Guarded<float>;
inline std::unique_ptr<Scratch> matmul_scratch() {
    return std::make_unique<Scratch>(kernels::matmul_scratch_bytes() / 4);
}

}  // namespace lapidary::test
