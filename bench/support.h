// What the kernel benchmarks share: names, inputs of a normal size, counters.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/select.h"

namespace lapidary::bench {

using namespace lapidary::kernels;

// "panel_matmul/q4_0/avx512", or "geglu/avx512" where there is no format.
std::string name_of(const KernelRow& row);

// Int8 multiply-adds per second of one thread with this table, best of several, measured once.
double peak_macs(const KernelTable& table);

// Bytes, multiply-adds (0: none) per iteration as rates, the share of the peak, and the function as label.
void count(benchmark::State& state, const KernelRow& row, double bytes, double macs);

// 64-byte aligned values, zeroed.
template <class T>
class Aligned {
  public:
    explicit Aligned(int64_t count)
        : count_(static_cast<size_t>(count)), data_(static_cast<T*>(std::aligned_alloc(64, padded())), std::free) {
        for (T& value : span()) value = T();
    }
    T* data() const { return data_.get(); }
    std::span<T> span() const { return {data_.get(), count_}; }
    T& operator[](int64_t i) const { return data_.get()[i]; }

  private:
    size_t padded() const { return (count_ * sizeof(T) + 127) / 64 * 64; }
    size_t count_;
    std::unique_ptr<T, void (*)(void*)> data_;
};

// Values in [-1, 1] without a pattern of a power of two.
Aligned<float> random_values(int64_t count);
// Blocks with random quants and scales of about 2^-6.
std::vector<uint8_t> random_weights(Format format, int64_t rows, int64_t k);

// Whether the first `count` values agree within a part in a thousand of their size (of 1, where they are small).
bool agree(const float* got, const float* expected, int64_t count);

// Registers `time` for a row; the shapes are for the caller to add.
template <class Time>
auto* add(const KernelRow& row, const std::string& name, Time time) {
    return benchmark::RegisterBenchmark(name.c_str(), [&row, time](benchmark::State& state) { time(state, row); });
}
// Register the benchmarks of a row; false where its operation is not of that file.
bool register_matmul(const KernelRow& row);
bool register_panels(const KernelRow& row);
bool register_rows(const KernelRow& row);
bool register_attention(const KernelRow& row);

}  // namespace lapidary::bench
