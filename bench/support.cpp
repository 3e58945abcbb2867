// See support.h.
#include "bench/support.h"

#include <time.h>

#include <cmath>
#include <cstring>
#include <map>

namespace lapidary::bench {
namespace {

double thread_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Where the f16 scales of a block lie.
std::vector<int64_t> scale_offsets(Format f) {
    switch (f) {
        case Format::q4_1:
        case Format::q5_1:
        case Format::q4_k:
        case Format::q5_k: return {0, 2};
        case Format::q2_k: return {80, 82};
        case Format::q3_k: return {108};
        case Format::q6_k: return {208};
        default: return {0};
    }
}

}  // namespace

std::string name_of(const KernelRow& row) {
    std::string name(row.op);
    if (row.format != "any") name.append("/").append(row.format);
    return name.append("/").append(row.isa);
}

double peak_macs(const KernelTable& table) {
    static std::map<const KernelTable*, double> known;
    if (const auto found = known.find(&table); found != known.end()) return found->second;
    double best = 0;
    for (int i = 0; i < 5; ++i) {
        const double start = thread_seconds();
        int64_t macs = 0;
        while (thread_seconds() - start < 0.02) macs += table.peak(1 << 14).macs;  // reading this clock is a system call
        best = std::max(best, static_cast<double>(macs) / (thread_seconds() - start));
    }
    return known[&table] = best;
}

void count(benchmark::State& state, const KernelRow& row, double bytes, double macs) {
    constexpr auto kRate = benchmark::Counter::kIsIterationInvariantRate;
    state.SetLabel(std::string(row.function));
    state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, kRate);
    if (macs == 0) return;
    state.counters["GMAC/s"] = benchmark::Counter(macs * 1e-9, kRate);
    state.counters["%peak"] = benchmark::Counter(100 * macs / peak_macs(*row.table), kRate);
}

Aligned<float> random_values(int64_t count) {
    Aligned<float> out(count);
    uint32_t seed = 1;
    for (float& v : out.span()) {
        seed = seed * 1664525 + 1013904223;
        v = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
    }
    return out;
}

std::vector<uint8_t> random_weights(Format f, int64_t rows, int64_t k) {
    std::vector<uint8_t> bytes(static_cast<size_t>(rows * row_bytes(f, k)));
    uint32_t seed = 1;
    for (auto& b : bytes) {
        seed = seed * 1664525 + 1013904223;
        b = static_cast<uint8_t>(seed >> 24);
    }
    const auto scales = scale_offsets(f);
    for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(block_bytes(f))) {
        if (f == Format::f32) {
            const float value = static_cast<float>(bytes[at]) / 128.0f - 1.0f;
            std::memcpy(&bytes[at], &value, 4);
        } else if (f == Format::f16 || f == Format::bf16) {
            bytes[at + 1] = static_cast<uint8_t>((bytes[at + 1] & 0x83) | 0x38);
        } else {
            for (const int64_t o : scales) bytes[at + static_cast<size_t>(o) + 1] = 0x24;
        }
    }
    return bytes;
}

bool agree(const float* got, const float* expected, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
        if (!(std::abs(got[i] - expected[i]) <= 1e-3f * (1.0f + std::abs(expected[i])))) return false;
    return true;
}

}  // namespace lapidary::bench
