// Which device is taken, of several that are invented, and what is said when none is.
#include "runtime/vulkan/physical_device.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/describe.h"
#include "runtime/vulkan/shader_table.h"
#include "tests/support/vulkan_rig.h"

using namespace lapidary;
namespace {

using runtime::vulkan::DeviceFacts;
using runtime::vulkan::choose_device;

DeviceFacts device(int index, const std::string& name, const std::string& type, std::vector<std::string> reasons = {}) {
    DeviceFacts d;
    d.index = index;
    d.name = name;
    d.type = type;
    d.software = type == "software";
    d.reasons = std::move(reasons);
    return d;
}

int chosen(const std::vector<DeviceFacts>& devices, const std::string& wanted) {
    const auto found = choose_device(devices, wanted);
    return found ? found->index : -1;
}

TEST_CASE("choose_device: a card before an integrated GPU, each by number or part of its name, software only by name") {
    const std::vector<DeviceFacts> all = {device(0, "llvmpipe (LLVM 15)", "software"), device(1, "AMD Radeon 780M", "integrated"),
                                          device(2, "Radeon RX 7600", "discrete"), device(3, "virtio", "virtual")};
    CHECK(chosen(all, "") == 2);
    CHECK(chosen(all, "1") == 1);
    CHECK(chosen(all, "0") == 0);
    CHECK(chosen(all, "780m") == 1);
    CHECK(chosen(all, "RADEON") == 2);  // of several that are meant, the best
    CHECK(chosen(all, "llvm") == 0);
    CHECK(chosen(all, "virtio") == 3);
    CHECK(chosen(all, "4") == -1);
    CHECK(chosen(all, "-1") == -1);
    CHECK(chosen(all, "780") == -1);  // digits are a number
    CHECK(chosen(all, "geforce") == -1);
    CHECK(chosen({all[1], all[3]}, "") == 1);
    CHECK(chosen({all[0], all[3]}, "") == 3);
    CHECK(chosen({all[0]}, "") == -1);
    CHECK(chosen({}, "") == -1);
}

TEST_CASE("choose_device: an unusable device is never taken, and its reasons are all told") {
    const std::vector<DeviceFacts> all = {device(0, "Old GPU", "discrete", {"it speaks Vulkan 1.1.0", "it has no scalar block layout"}),
                                          device(1, "llvmpipe", "software"), device(2, "Fine GPU", "integrated")};
    CHECK(chosen(all, "") == 2);
    CHECK(chosen(all, "GPU") == 2);
    for (const std::string wanted : {"0", "old"}) {
        const auto none = choose_device(all, wanted);
        REQUIRE_FALSE(none);
        CHECK(none.error().code == Errc::device_unavailable);
        CHECK(none.error().message.find("no usable GPU is " + in_quotes(wanted)) == 0);
        CHECK(none.error().message.find("0 " + in_quotes("Old GPU") + " (discrete): it speaks Vulkan 1.1.0, it has no scalar block layout") != std::string::npos);
        CHECK(none.error().message.find("1 " + in_quotes("llvmpipe") + " (software): slower than the CPU path, used only when named") != std::string::npos);
        CHECK(!none.error().hint.empty());
    }
    const auto none = choose_device({}, "");
    CHECK(none.error().message == "no GPU here can be used; Vulkan shows: none");
}

TEST_CASE("list_devices: the device of these tests has all that shaders ask of it") {
    auto& rig = test::VulkanRig::get();
    const auto devices = runtime::vulkan::list_devices(*rig.instance);
    const DeviceFacts& facts = devices[static_cast<size_t>(rig.context->facts().index)];
    CHECK(facts.reasons.empty());
    CHECK(facts.name == rig.context->facts().name);
    CHECK(facts.uuid.size() == 4 * VK_UUID_SIZE);
    CHECK(facts.max_allocation_bytes >= 1 << 30);
    CHECK(((facts.needs() & runtime::vulkan::kDot) != 0) == facts.dot);
    DeviceFacts without = facts;
    without.dot = without.float16 = false;
    without.matrix_half = without.matrix_int8 = {};
    CHECK(without.needs() == runtime::vulkan::kNothing);
}

}  // namespace
