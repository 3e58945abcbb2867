// Random numbers on two devices: what the self-tests have in common. Private to runtime/vulkan/self_test*.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/vulkan/self_test.h"

namespace lapidary::runtime::vulkan {

inline constexpr double kUnit = 1.0 / (1 << 24);  // half the last place of f32, relative
inline constexpr int64_t kTestRows = 48;          // of a matrix: three panels

// Small, fast, the same everywhere.
class Random {
  public:
    explicit Random(uint32_t seed) : state_(seed * 2654435761u + 1) {}
    uint32_t bits() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        return state_ ^= state_ << 5;
    }
    float value() { return static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-31f; }  // [-1, 1)

  private:
    uint32_t state_;
};

uint16_t half_bits(float value);  // of a positive value that is normal in f16, cut
// Values in [-1, 1), or blocks of any bits whose scales lie near 1 / 64.
void fill_blocks(Format f, int64_t count, Random& random, std::byte* out);

struct SelfTest::Rows {
    Buffer source, on_cpu, on_gpu;
    TensorView host;      // as it was made
    TensorView cpu, gpu;  // as each device wants it
    const TensorView& on(bool gpu_wanted) const { return gpu_wanted ? gpu : cpu; }
};

struct SelfTest::Reading {
    ProductCase product;
    Rows weights, out;  // nothing where there is no reader
    explicit operator bool() const { return product.k > 0; }
    // What the GPU makes of its rows; the reference's turn is in compare().
    void note(Device& gpu, const MatmulInput& x) const {
        const MatmulPart part{.weights = weights.gpu, .out = out.gpu};
        gpu.matmul({&part, 1}, x);
    }
};

}  // namespace lapidary::runtime::vulkan
