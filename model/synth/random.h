// Random weights: a pool of blocks per format, made once and tiled with moving offsets, so that gigabytes
// are written at the speed of the disk and no two rows of a tensor are equal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/formats.h"
#include "lapidary/result.h"

namespace lapidary::model {

// splitmix64 (Steele, Lea, Flood 2014): the same numbers on every platform.
class SynthRandom {
  public:
    explicit SynthRandom(uint64_t seed) : state_(seed) {}
    uint64_t next();
    uint32_t below(uint32_t limit) { return static_cast<uint32_t>((next() >> 32) * limit >> 32); }
    float unit() { return static_cast<float>(next() >> 40) * 0x1p-24f; }  // [0, 1)
    float normal();  // about normal: the sum of twelve uniforms

  private:
    uint64_t state_;
};

using SynthSink = std::function<Result<void>(const std::byte* bytes, size_t count)>;

class BlockPool {
  public:
    // Values have mean 0 and the given standard deviation.
    BlockPool(kernels::Format format, float deviation, uint64_t seed);

    // Hands `bytes` bytes, whole blocks, to the sink in pieces; the next call starts elsewhere in the pool.
    Result<void> tensor(uint64_t bytes, const SynthSink& sink);

  private:
    std::vector<std::byte> bytes_;
    size_t block_bytes_, offset_ = 0;
};

uint16_t to_bfloat(float value);  // rounds to nearest, ties to even

}  // namespace lapidary::model
