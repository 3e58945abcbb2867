// A device as engines open it.
#include "runtime/vulkan/make_vulkan_device.h"

#include <doctest/doctest.h>

#include <mutex>
#include <string>
#include <vector>

using namespace lapidary;
namespace {

using namespace runtime;

TEST_CASE("make_vulkan_device: opens what is named, with the layers where somebody listens") {
    std::mutex lock;
    std::vector<std::string> told;
    VulkanSettings settings{.device = "llvmpipe"};
    settings.messages = [&](const std::string& m) {
        const std::lock_guard guard(lock);
        told.push_back(m);
    };
    {
        const auto device = make_vulkan_device(settings);
        REQUIRE_MESSAGE(device, device.error().message);
        CHECK(device->name.find("llvmpipe") == 0);
        const auto buffer = device->device->allocate(1000, MemoryKind::state);
        REQUIRE(buffer);
        CHECK((*buffer)->bytes >= 1000);
        CHECK(device->device->fill(*buffer, 1));
    }
    const std::lock_guard guard(lock);
    for (const std::string& m : told) FAIL_CHECK(m);
}

TEST_CASE("make_vulkan_device: what is not there is an error that lists what is") {
    const auto none = make_vulkan_device({.device = "no such device"});
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::device_unavailable);
    CHECK(none.error().message.find("no such device") != std::string::npos);
    CHECK(none.error().message.find("llvmpipe") != std::string::npos);
}

}  // namespace
