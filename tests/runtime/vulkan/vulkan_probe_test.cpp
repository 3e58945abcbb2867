// Figures of the machine, and none from a device that fails.
#include "runtime/vulkan/vulkan_probe.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "tests/support/vulkan_chain.h"

using namespace lapidary;
namespace {

TEST_CASE("probe: reads and multiplies in the time it is given, or says 0") {
    test::VulkanFaults faults;
    const auto device = test::make_device(faults);
    const auto buffer = device->allocate(1 << 20, runtime::MemoryKind::weights);
    REQUIRE(buffer);
    runtime::MachineProbe& probe = device->probe();
    const bool dot = faults.context->facts().dot;
    CHECK(probe.read_bandwidth(*buffer, 0.02) > 0);
    CHECK((probe.int8_peak(0.02) > 0) == dot);
    CHECK((std::string(probe.peak_instruction()).find("OpSDot") == 0) == dot);
    const bool matrices = !faults.context->facts().matrix_half.empty() || !faults.context->facts().matrix_int8.empty();
    if (!matrices) MESSAGE("not run: peak_matrix_int8, peak_matrix_half");
    const runtime::MatrixPeak peak = probe.matrix_peak(0.02);
    CHECK((peak.gmacs > 0) == matrices);
    CHECK(peak.instruction.starts_with("OpCooperativeMatrix") == matrices);
    for (test::VulkanFault* fault : {&faults.submit, &faults.wait}) {
        fault->from(1, VK_ERROR_DEVICE_LOST);
        CHECK(probe.read_bandwidth(*buffer, 0.02) == 0);
        CHECK(probe.int8_peak(0.02) == 0);
        CHECK(probe.matrix_peak(0.02).gmacs == 0);
        fault->never();
    }
    CHECK(probe.read_bandwidth(*buffer, 0.02) > 0);
}

TEST_CASE("probe: matrices have a verdict, a refused one forbids them, and a known one stays as it is") {
    for (const bool fails : {false, true}) {
        test::VulkanFaults faults;
        const auto made = runtime::vulkan::VulkanDevice::create(faults.context, {});
        REQUIRE(made);
        runtime::vulkan::VulkanDevice& device = **made;
        if (faults.context->facts().matrix_half.empty() && faults.context->facts().matrix_int8.empty()) {
            MESSAGE("not run: peak_matrix_int8, peak_matrix_half");
            return;
        }
        if (fails) faults.submit.from(1, VK_ERROR_DEVICE_LOST);
        CHECK((device.probe().matrix_peak(0.02).gmacs > 0) == !fails);
        faults.submit.never();
        REQUIRE(device.verdicts()->count() > 0);
        const std::map<std::string, runtime::vulkan::Verdict> tests = device.verdicts()->tests();
        for (const auto& test : tests) {
            CAPTURE(test.first);
            CHECK(test.first.starts_with("peak_matrix"));
            CHECK(test.second.passed == !fails);
            CHECK(test.second.reason == (fails ? "the probe did not run" : ""));
        }
        CHECK((device.probe().matrix_peak(0.02).gmacs > 0) == !fails);
        for (const auto& [name, verdict] : device.verdicts()->tests()) CHECK(verdict.time == tests.at(name).time);
    }
}

}  // namespace
