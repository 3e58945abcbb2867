// Shaders without a device around them: buffers that the host sees, dispatches run and waited for, and whatever the
// validation layers say made into a failure. One context serves a whole test program.
// LAPIDARY_TEST_GPU: which device (default: a software device). LAPIDARY_TEST_VALIDATION: core (default), gpu or off.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "runtime/vulkan/commands.h"

namespace lapidary::test {

namespace vulkan = runtime::vulkan;

class VulkanRig {
  public:
    static VulkanRig& get() {
        static VulkanRig rig;
        return rig;
    }

    std::shared_ptr<vulkan::Instance> instance;
    std::shared_ptr<vulkan::Context> context;
    std::unique_ptr<vulkan::Queue> queue;
    std::unique_ptr<vulkan::Pipelines> pipelines;

    bool can(vulkan::Shader s) const { return !(vulkan::row_of(s).needs & ~context->facts().needs()); }

    // Full of 0xFF: NaN where nobody writes.
    std::shared_ptr<vulkan::VulkanBuffer> poisoned(size_t bytes) {
        auto buffer = vulkan::allocate_buffer(context, bytes, vulkan::Memory::upload, "test");
        REQUIRE_MESSAGE(buffer, buffer.error().message);
        std::memset((*buffer)->mapped(), 0xFF, bytes);
        return *buffer;
    }
    template <class T>
    std::shared_ptr<vulkan::VulkanBuffer> upload(const std::vector<T>& values) {
        auto buffer = poisoned(values.size() * sizeof(T));
        std::memcpy(buffer->mapped(), values.data(), values.size() * sizeof(T));
        return buffer;
    }
    template <class T>
    std::vector<T> download(const vulkan::VulkanBuffer& buffer) {
        std::vector<T> out(buffer.bytes / sizeof(T));
        std::memcpy(out.data(), buffer.mapped(), out.size() * sizeof(T));
        return out;
    }

    // Runs them in order, with the barriers that they need, and fails on a message of the layers.
    void run(std::span<const vulkan::Dispatch> dispatches, const vulkan::RecordingOptions& options = {}) {
        const auto hazard = vulkan::find_hazard(dispatches, vulkan::place_barriers(dispatches));
        REQUIRE_MESSAGE(!hazard, hazard.value_or(""));
        vulkan::RecordedStep step(*queue, *pipelines, {dispatches.begin(), dispatches.end()}, {}, options);
        const auto commands = step.piece(0);
        REQUIRE_MESSAGE(commands, commands.error().message);
        const auto ticket = queue->submit(*commands);
        REQUIRE_MESSAGE(ticket, ticket.error().message);
        const auto done = queue->wait(*ticket);
        REQUIRE_MESSAGE(done, done.error().message);
        check_messages();
    }
    void check_messages() {
        const std::lock_guard guard(lock_);
        for (const std::string& m : messages_) FAIL_CHECK(m);
        messages_.clear();
    }

  private:
    VulkanRig() {
        const char* device = std::getenv("LAPIDARY_TEST_GPU");
        const char* wanted = std::getenv("LAPIDARY_TEST_VALIDATION");
        const std::string validation = wanted ? wanted : "core";
        vulkan::InstanceOptions options;
        options.validation = validation == "off"   ? vulkan::Validation::off
                             : validation == "gpu" ? vulkan::Validation::gpu_assisted
                                                   : vulkan::Validation::core;
        options.messages = [this](const std::string& m) {
            const std::lock_guard guard(lock_);
            messages_.push_back(m);
        };
        auto made = vulkan::Instance::create(options);
        REQUIRE_MESSAGE(made, made.error().message);
        instance = *made;
        const auto devices = vulkan::list_devices(*instance);
        auto facts = vulkan::choose_device(devices, device ? device : "llvmpipe");
        REQUIRE_MESSAGE(facts, facts.error().message);
        auto opened = vulkan::Context::create(instance, *facts);
        REQUIRE_MESSAGE(opened, opened.error().message);
        context = *opened;
        auto made_queue = vulkan::Queue::create(context);
        REQUIRE_MESSAGE(made_queue, made_queue.error().message);
        queue = std::move(*made_queue);
        auto made_pipelines = vulkan::Pipelines::create(context, {});
        REQUIRE_MESSAGE(made_pipelines, made_pipelines.error().message);
        pipelines = std::move(*made_pipelines);
    }

    std::mutex lock_;
    std::vector<std::string> messages_;
};

}  // namespace lapidary::test
