// Short looks at memory and arithmetic; see cpu_probe.h.
#include "runtime/cpu/cpu_probe.h"
#include "runtime/memory/host_access.h"

#include <atomic>
#include <chrono>

namespace lapidary::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kPieceBytes = 1 << 20;      // read between two looks at the clock: about 50 microseconds
constexpr int64_t kPeakIterations = 1 << 9;   // the same for arithmetic: 10 to 50 microseconds

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

uint64_t read_piece(const std::byte* piece) {
    const auto* words = reinterpret_cast<const uint64_t*>(piece);
    uint64_t sums[8] = {};  // eight chains, so that loads and not additions are the limit
    for (int64_t i = 0; i < kPieceBytes / 8; i += 8)
        for (int64_t j = 0; j < 8; ++j) sums[j] ^= words[i + j];
    uint64_t all = 0;
    for (const uint64_t s : sums) all ^= s;
    return all;
}

}  // namespace

double CpuProbe::read_bandwidth(const Buffer& buffer, double seconds) {
    const int64_t pieces = static_cast<int64_t>(buffer->bytes) / kPieceBytes;
    std::atomic<int64_t> next{0}, read{0};
    std::atomic<uint64_t> checksum{0};  // keeps the reads from being optimised away
    cpu_.pool.use(cpu_.pool.size());
    const auto start = Clock::now();
    cpu_.pool.run(cpu_.pool.size(), [&](int64_t, int) {
        uint64_t sum = 0;
        int64_t mine = 0;
        for (; seconds_since(start) < seconds; ++mine)
            sum ^= read_piece(host_bytes(*buffer) + next.fetch_add(1, std::memory_order_relaxed) % pieces * kPieceBytes);
        read.fetch_add(mine, std::memory_order_relaxed);
        checksum.fetch_xor(sum, std::memory_order_relaxed);
    });
    return static_cast<double>(read * kPieceBytes) / seconds_since(start) / 1e9;
}

double CpuProbe::int8_peak(double seconds) {
    std::atomic<int64_t> macs{0};
    cpu_.pool.use(cpu_.pool.size());
    const auto start = Clock::now();
    cpu_.pool.run(cpu_.pool.size(), [&](int64_t, int) {
        int64_t mine = 0;
        while (seconds_since(start) < seconds) mine += cpu_.table.peak(kPeakIterations).macs;
        macs.fetch_add(mine, std::memory_order_relaxed);
    });
    return static_cast<double>(macs) / seconds_since(start) / 1e9;
}

}  // namespace lapidary::runtime
