// What doctor tells of Vulkan's devices, and which one a name takes.
#include <doctest/doctest.h>

#include <algorithm>

#include "runtime/vulkan/make_vulkan_device.h"

using namespace lapidary;
using namespace lapidary::runtime;

TEST_CASE("list_gpus: every device with what it has, or why it cannot be used") {
    const GpuReport report = list_gpus();
    CHECK(report.problem.empty());
    REQUIRE(!report.gpus.empty());
    for (const GpuFacts& gpu : report.gpus) {
        CAPTURE(gpu.name);
        CHECK(&gpu - report.gpus.data() == gpu.index);
        CHECK(!gpu.name.empty());
        CHECK(!gpu.heaps.empty());
        for (const GpuHeap& heap : gpu.heaps) CHECK(heap.bytes > 0);
        if (!gpu.reasons.empty()) continue;
        CHECK(!gpu.driver.empty());
        const auto limit = [&](const char* name) {
            const auto found = std::find_if(gpu.limits.begin(), gpu.limits.end(),
                                            [&](const auto& l) { return l.first == name; });
            return found == gpu.limits.end() ? 0 : found->second;
        };
        CHECK(limit("workgroup_threads") >= 256);
        CHECK(limit("shared_bytes") >= 32768);
        CHECK(limit("push_bytes") >= 128);
        CHECK(limit("subgroup") >= 1);
    }
}

TEST_CASE("find_gpu: by number, by a part of the name in any case, and with every device in the error") {
    const GpuReport report = list_gpus();
    for (const GpuFacts& gpu : report.gpus) {
        const auto by_number = find_gpu(std::to_string(gpu.index));
        const auto by_name = find_gpu(gpu.name);
        CHECK(bool(by_number) == gpu.reasons.empty());
        if (by_number) CHECK(by_number->name == gpu.name);
        if (by_name) CHECK(by_name->name == gpu.name);
    }
    const auto software = find_gpu("LLVMpipe");
    REQUIRE(software);
    CHECK(software->name.find("llvmpipe") != std::string::npos);
    for (const char* wanted : {"99", "no such device"}) {
        const auto none = find_gpu(wanted);
        REQUIRE(!none);
        CHECK(none.error().code == Errc::device_unavailable);
        CHECK(none.error().message.find(wanted) != std::string::npos);
        for (const GpuFacts& gpu : report.gpus) CHECK(none.error().message.find(gpu.name) != std::string::npos);
    }
    // A software device is slower than the CPU path: nobody gets it who did not name it.
    if (std::all_of(report.gpus.begin(), report.gpus.end(), [](const GpuFacts& g) { return g.software; })) CHECK(!find_gpu(""));
}
