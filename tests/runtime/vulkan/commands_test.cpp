// What a queue does that is lost, and a hazard made on purpose: who notices it. Steps of a device are in vulkan_device_test.cpp.
#include "runtime/vulkan/commands.h"

#include <doctest/doctest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/vulkan_faults.h"

using namespace lapidary;
namespace {

using namespace runtime::vulkan;
using test::VulkanFaults;
using test::VulkanRig;

Dispatch cap(const VulkanBuffer& x) {
    const struct { uint32_t count; float cap; } scalars{static_cast<uint32_t>(x.bytes / 4), 30.0f};
    return make_dispatch({Shader::soft_cap, {64}}, {(scalars.count + 63) / 64, 1, 1}, {range_of(x, 0, x.bytes)}, scalars);
}

TEST_CASE("queue: submits are numbered, done in order, and a lost one says of which device") {
    VulkanFaults faults;
    auto made = Queue::create(faults.context);
    REQUIRE(made);
    Queue& queue = **made;
    REQUIRE(queue.run_once([](VkCommandBuffer) {}));
    REQUIRE(queue.wait(1));
    for (test::VulkanFault* fault : {&faults.submit, &faults.wait}) {
        fault->once(1, VK_ERROR_DEVICE_LOST);
        const auto lost = queue.run_once([](VkCommandBuffer) {});
        REQUIRE_FALSE(lost);
        CHECK(lost.error().code == Errc::device_lost);
        CHECK(lost.error().message.find(faults.context->facts().name + ": VK_ERROR_DEVICE_LOST (-4)") != std::string::npos);
    }
    CHECK(queue.run_once([](VkCommandBuffer) {}));
}

// The layers cannot know which memory an address belongs to, so that what they see of this is only told; the recorder's own
// check must see it.
TEST_CASE("hazard canary: two dispatches write one buffer without a barrier") {
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
    const auto devices = list_devices(**instance);  // facts hold handles of their instance
    const auto opened = Context::create(*instance, devices[static_cast<size_t>(VulkanRig::get().context->facts().index)]);
    REQUIRE(opened);
    const auto queue = Queue::create(*opened);
    const auto pipelines = Pipelines::create(*opened, {});
    const auto buffer = allocate_buffer(*opened, 4096, Memory::device, "canary");
    REQUIRE(queue);
    REQUIRE(pipelines);
    REQUIRE(buffer);
    const std::vector<Dispatch> dispatches(2, cap(**buffer));
    CHECK(place_barriers(dispatches) == std::vector<bool>{false, true});
    for (const bool checks : {true, false}) {
        RecordedStep step(**queue, **pipelines, dispatches, {}, {.omit_barrier = 0, .find_hazards = checks});
        CHECK(step.barriers() == 0);
        const auto commands = step.piece(0);
        CHECK(bool(commands) == !checks);
        if (!commands) {
            CHECK(commands.error().message == "soft_cap (dispatch 1) and soft_cap (dispatch 0) touch the same memory without a barrier between them");
            continue;
        }
        const auto submitted = (*queue)->submit(*commands);
        REQUIRE(submitted);
        REQUIRE((*queue)->wait(*submitted));
    }
    const std::lock_guard guard(lock);
    MESSAGE("a missing barrier: the recorder's check sees it, synchronisation validation ", told.empty() ? "does not" : told.front());
}

}  // namespace
