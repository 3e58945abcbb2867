// Google Benchmark over the kernel table: every matmul of every level that this CPU can run, for a few column
// counts. Names: matmul/<format>/<level>/k:<K>/rows:<R>/columns:<T>. Counters: weight bytes read and
// multiply-adds per second. Each case checks its result once against the scalar kernel before it is timed.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/select.h"

namespace {

using namespace lapidary::kernels;

constexpr int64_t kK = 3840, kRows = 4096;  // 12B's width; 9 MB in 4 bits, so that one column streams

// Values of a normal size: random quants, scales of about 2^-6.
std::vector<uint8_t> random_weights(Format f) {
    std::vector<uint8_t> bytes(static_cast<size_t>(kRows * row_bytes(f, kK)));
    uint32_t seed = 1;
    for (auto& b : bytes) {
        seed = seed * 1664525 + 1013904223;
        b = static_cast<uint8_t>(seed >> 24);
    }
    const auto scale_offsets = [&]() -> std::vector<int64_t> {
        switch (f) {
            case Format::q4_1: case Format::q5_1: return {0, 2};
            case Format::q2_k: return {80, 82};
            case Format::q3_k: return {108};
            case Format::q4_k: case Format::q5_k: return {0, 2};
            case Format::q6_k: return {208};
            default: return {0};
        }
    }();
    const int64_t block = block_bytes(f);
    for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(block)) {
        if (f == Format::f32) {
            const float value = static_cast<float>(bytes[at]) / 128.0f - 1.0f;
            std::memcpy(&bytes[at], &value, 4);
        } else if (f == Format::f16 || f == Format::bf16) {
            bytes[at + 1] = static_cast<uint8_t>((bytes[at + 1] & 0x83) | 0x38);
        } else {
            for (const int64_t o : scale_offsets) bytes[at + static_cast<size_t>(o) + 1] = 0x24;
        }
    }
    return bytes;
}

void matmul(benchmark::State& state, const KernelTable* table, Format format) {
    const int64_t columns = state.range(2);
    const auto weights = random_weights(format);
    std::vector<float> x(static_cast<size_t>(columns * kK)), y(static_cast<size_t>(columns * kRows)), expected(y.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) / 50.0f - 1.0f;
    std::vector<uint8_t> scratch(static_cast<size_t>(matmul_scratch_bytes(columns)) + 64);
    MatmulArgs a;
    a.weights = weights.data();
    a.row_bytes = row_bytes(format, kK);
    a.k = kK;
    a.x = x.data();
    a.x_stride = kK;
    a.columns = columns;
    a.y = expected.data();
    a.y_stride = kRows;
    a.row_end = 32;
    a.scratch = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
    select("ref", nullptr)->matmul[static_cast<size_t>(format)](a);
    a.y = y.data();
    a.row_end = kRows;
    const auto kernel = table->matmul[static_cast<size_t>(format)];
    kernel(a);
    for (int64_t t = 0; t < columns; ++t)
        for (int64_t r = 0; r < 32; ++r) {
            const float got = y[static_cast<size_t>(t * kRows + r)], want = expected[static_cast<size_t>(t * kRows + r)];
            if (!(std::abs(got - want) <= 1e-3f * (1.0f + std::abs(want)))) return state.SkipWithError("wrong result");
        }
    for (auto _ : state) {
        kernel(a);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(weights.size()));
    state.counters["MAC/s"] = benchmark::Counter(static_cast<double>(kK * kRows * columns),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    for (const Level& level : levels()) {
        if (!level.table) continue;
        for (int f = 0; f < kFormats; ++f) {
            const auto format = static_cast<Format>(f);
            const std::string name = std::string("matmul/") + lapidary::kernels::name(format) + "/" + std::string(level.name);
            benchmark::RegisterBenchmark(name.c_str(), matmul, level.table, format)
                ->ArgNames({"k", "rows", "columns"})
                ->Args({kK, kRows, 1})
                ->Args({kK, kRows, 8})
                ->Args({kK, kRows, 128})
                ->Unit(benchmark::kMillisecond);
        }
    }
    benchmark::RunSpecifiedBenchmarks();
}
