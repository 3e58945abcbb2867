// That the layers are on where they are asked for, and tell what they see: all other tests trust in their silence.
#include "runtime/vulkan/instance.h"

#include <doctest/doctest.h>

#include <mutex>
#include <string>
#include <vector>

#include "runtime/vulkan/physical_device.h"
#include "tests/support/vulkan_rig.h"

using namespace lapidary;
namespace {

using namespace runtime::vulkan;

TEST_CASE("instance: a mistake reaches the sink of messages") {
    std::mutex lock;
    std::vector<std::string> told;
    InstanceOptions options;
    options.validation = Validation::core;
    options.messages = [&](const std::string& m) {
        const std::lock_guard guard(lock);
        told.push_back(m);
    };
    const auto instance = Instance::create(options);
    REQUIRE_MESSAGE(instance, instance.error().message);
    CHECK((*instance)->has_debug_utils());
    const auto devices = list_devices(**instance);
    const auto context = Context::create(*instance, devices[static_cast<size_t>(test::VulkanRig::get().context->facts().index)]);
    REQUIRE(context);
    CHECK(told.empty());
    VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;  // of no bytes
    VkBuffer buffer = VK_NULL_HANDLE;
    (void)(*context)->vk().vkCreateBuffer((*context)->device(), &info, nullptr, &buffer);
    (*context)->vk().vkDestroyBuffer((*context)->device(), buffer, nullptr);
    const std::lock_guard guard(lock);
    REQUIRE(!told.empty());
    CHECK(told.front().find("size") != std::string::npos);
}

TEST_CASE("instance: several at once, and without layers nobody is told anything") {
    int told = 0;
    InstanceOptions options;
    options.messages = [&](const std::string&) { ++told; };
    const auto one = Instance::create(options), two = Instance::create();
    REQUIRE(one);
    REQUIRE(two);
    CHECK((*one)->handle() != (*two)->handle());
    const auto devices = (*one)->devices();
    REQUIRE(devices);
    CHECK(devices->size() == (*two)->devices()->size());
    CHECK(told == 0);
}

}  // namespace
