// The probes: figures of a plausible size, within the time allowed, with every thread of the device.
#include "runtime/cpu/cpu_probe.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>

#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

using namespace lapidary;
using namespace lapidary::runtime;

TEST_CASE("cpu probe: probes take the time they are given and count what they did") {
    struct Watch final : PhaseObserver {
        void phase(const PhaseTimes& times) override { team = times.threads.size(); }
        size_t team = 0;
    } watch;
    Cpu cpu(*kernels::select("", nullptr), 2, false, {2, 1});
    cpu.use(1);  // a decoding step: one thread
    cpu.pool.observe(&watch);
    CpuProbe probe(cpu);
    const Buffer buffer = std::move(*allocate_host(size_t{8} << 20));
    std::memset(host_bytes(*buffer), 1, buffer->bytes);
    for (int i = 0; i < 3; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const double gbps = probe.read_bandwidth(buffer, 0.01), gmacs = probe.int8_peak(0.01);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        CHECK(watch.team == 2);
        CHECK(gbps > 0.01);    // a hundredth of any memory still in use
        CHECK(gbps < 10000);   // above every cache
        CHECK(gmacs > 0.01);
        CHECK(gmacs < 100000);
        CHECK(took.count() >= 0.02);
    }
}
