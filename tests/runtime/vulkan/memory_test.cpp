// Which memory is taken on machines of several kinds, and what happens when there is none at any moment.
#include "runtime/vulkan/memory.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/vulkan_chain.h"

using namespace lapidary;
namespace {

using namespace runtime;
using runtime::vulkan::DeviceFacts;
using runtime::vulkan::Memory;
using runtime::vulkan::allocate_buffer;
using runtime::vulkan::types_for;
using runtime::vulkan::vulkan_buffer;
using test::VulkanChain;
using test::VulkanFaults;

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, kVisible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
constexpr VkMemoryPropertyFlags kCoherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
constexpr uint32_t kAll = ~0u;

DeviceFacts machine(bool unified, const std::vector<VkMemoryPropertyFlags>& types) {
    DeviceFacts facts;
    facts.unified = unified;
    facts.memory.memoryTypeCount = static_cast<uint32_t>(types.size());
    for (size_t i = 0; i < types.size(); ++i) facts.memory.memoryTypes[i] = {types[i], 0};
    return facts;
}

using Types = std::vector<uint32_t>;

// RADV on an APU: a carve-out that is local, and the rest of the memory, which is not.
TEST_CASE("memory: one memory for both, in a carve-out and behind it") {
    const auto apu = machine(true, {kLocal, kVisible | kCoherent, kLocal | kVisible | kCoherent, kVisible | kCoherent | kCached});
    CHECK(types_for(apu, kAll, Memory::device) == Types{2, 0, 3, 1});
    CHECK(types_for(apu, kAll, Memory::upload) == Types{2, 1, 3});
    CHECK(types_for(apu, kAll, Memory::readback) == Types{3, 2, 1});
    CHECK(types_for(apu, kAll, Memory::shared) == Types{3, 2, 1});
    CHECK(types_for(apu, 0b0011, Memory::device) == Types{0, 1});  // of those that the driver allows
    CHECK(types_for(apu, 0b0001, Memory::upload).empty());
}

TEST_CASE("memory: a card with a small window is written and read through the host's memory, and lends none of it for weights") {
    const auto card = machine(false, {kLocal, kVisible | kCoherent, kVisible | kCoherent | kCached, kLocal | kVisible | kCoherent});
    CHECK(types_for(card, kAll, Memory::device) == Types{0, 3});
    CHECK(types_for(card, kAll, Memory::upload) == Types{1, 2, 3});
    CHECK(types_for(card, kAll, Memory::readback) == Types{2, 1, 3});
    CHECK(types_for(card, kAll, Memory::shared) == Types{2, 1, 3});
}

TEST_CASE("memory: a software device has one type, and what is protected or lazy serves nobody") {
    const auto software = machine(true, {kLocal | kVisible | kCoherent | kCached, kLocal | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT,
                                         kLocal | kVisible | VK_MEMORY_PROPERTY_PROTECTED_BIT});
    for (const Memory kind : {Memory::device, Memory::upload, Memory::readback, Memory::shared})
        CHECK(types_for(software, kAll, kind) == Types{0});
    const auto odd = machine(true, {kLocal, kVisible | kCached});  // cached, not coherent: good for reading
    CHECK(types_for(odd, kAll, Memory::upload).empty());
    CHECK(types_for(odd, kAll, Memory::readback) == Types{1});
    CHECK(types_for(odd, kAll, Memory::shared).empty());
}

TEST_CASE("memory: what the CPU shares has an address for it, what it does not share has none, and a card without any says so") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto device = test::make_device(faults);
        const auto shared = device->allocate(1000, MemoryKind::shared), own = device->allocate(1000, MemoryKind::state);
        REQUIRE(shared);
        REQUIRE(own);
        CHECK(host_bytes(**own) == nullptr);
        REQUIRE(host_bytes(**shared) != nullptr);
        CHECK(host_bytes(**shared)[999] == std::byte{0});
        host_bytes(**shared)[0] = std::byte{7};
        REQUIRE(device->copy(*shared, 0, *shared, 500, 4));  // the device sees what the host wrote, and the other way round
        CHECK(host_bytes(**shared)[500] == std::byte{7});
    }
    VulkanFaults faults(VulkanFaults::Memory::card, [](DeviceFacts& facts) { facts.memory.memoryTypes[1].propertyFlags = kLocal; });
    const auto device = test::make_device(faults);
    const auto none = device->allocate(1000, MemoryKind::shared);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::device_unavailable);
    CHECK(none.error().message == faults.context->facts().name + " has no memory that the host sees too for a cache or step buffers that the CPU shares");
}

TEST_CASE("memory: the next type serves when the best is full") {
    VulkanFaults faults(VulkanFaults::Memory::card, [](DeviceFacts& facts) {
        facts.unified = true;
        facts.memory.memoryTypes[0].propertyFlags = kLocal | kVisible | kCoherent;
        facts.memory.memoryTypes[1].propertyFlags = kVisible | kCoherent | kCached;
        facts.memory.memoryHeaps[0].size = 1 << 20;
    });
    const auto first = allocate_buffer(faults.context, 600 << 10, Memory::device, "a"), second = allocate_buffer(faults.context, 600 << 10, Memory::device, "b");
    REQUIRE(first);
    REQUIRE(second);
    CHECK((*first)->block().type == 0);
    CHECK((*second)->block().type == 1);
    // The driver's word counts more than ours.
    faults.memory.once(1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    const auto third = allocate_buffer(faults.context, 64 << 10, Memory::device, "c");
    REQUIRE(third);
    CHECK((*third)->block().type == 1);
}

TEST_CASE("memory: what does not fit is an error with the name, the size and what is free, and takes nothing") {
    VulkanFaults faults(VulkanFaults::Memory::card, [](DeviceFacts& facts) { facts.max_allocation_bytes = 80 << 20; });
    const auto held = allocate_buffer(faults.context, 10 << 20, Memory::device, "held");
    REQUIRE(held);
    const auto full = allocate_buffer(faults.context, 60 << 20, Memory::device, "the weights of layer 7");
    REQUIRE_FALSE(full);
    CHECK(full.error().code == Errc::out_of_memory);
    CHECK(full.error().message == faults.context->facts().name + " has no room for the weights of layer 7: it takes 60 MiB, at most 54 "
                                                                 "MiB are free in one of its memories (VK_ERROR_OUT_OF_DEVICE_MEMORY)");
    const auto large = allocate_buffer(faults.context, 90 << 20, Memory::device, "a table");
    REQUIRE_FALSE(large);
    CHECK(large.error().code == Errc::out_of_memory);
    CHECK(large.error().message.find("a table takes 90 MiB") == 0);
    CHECK(large.error().message.find("at most 80 MiB at once") != std::string::npos);
    CHECK(faults.context->allocated_bytes(0) == 10 << 20);
    CHECK(faults.context->allocated_bytes(1) == 0);
}

// Drivers reserve more than a buffer asks for; what lies behind the buffer's end is not its own.
TEST_CASE("memory: weights share the buffer, not what the driver rounded it up to") {
    VulkanFaults faults(VulkanFaults::Memory::card);
    {
        const auto device = test::make_device(faults);
        auto source = allocate_host((1 << 20) + 100);
        REQUIRE(source);
        const auto large = device->place(view(*source, Format::f32, 1, (1 << 18) + 25), Use::values, {});
        const auto small = device->place(view(*source, Format::f32, 1, 64), Use::values, {});
        REQUIRE(large);
        REQUIRE(small);
        for (const auto* placed : {&*large, &*small}) {
            const auto& buffer = vulkan_buffer(*placed->memory);
            CHECK(buffer.offset() + buffer.bytes <= buffer.block().bytes);
            CHECK(buffer.block().memory_bytes % 65536 == 0);
        }
        test::VulkanRig::get().check_messages();
    }
    CHECK(faults.context->allocated_bytes(0) == 0);
    CHECK(faults.context->allocated_bytes(1) == 0);
}

// The life of a device, in which one allocation fails. Which one is told by the error; what failed then works.
struct Life {
    VulkanFaults& faults;
    std::set<std::string> named = {};
    bool failed = false;

    template <class T>
    bool fails(const Result<T>& r) {
        if (r) return false;
        failed = true;
        CHECK(r.error().code == Errc::out_of_memory);
        const std::string& m = r.error().message;
        const std::string before = faults.context->facts().name + " has no room for ";
        REQUIRE(m.find(before) == 0);
        named.insert(m.substr(before.size(), m.find(": it takes ") - before.size()));
        CHECK(m.find(" MiB are free in one of its memories") != std::string::npos);
        CHECK(!r.error().hint.empty());
        return true;
    }
    // Again until it works: at most two allocations fail.
    template <class Try>
    auto insist(const Try& attempt) {
        auto result = attempt();
        for (int i = 0; i < 2 && fails(result); ++i) result = attempt();
        REQUIRE(result);
        return std::move(*result);
    }
    void live() {
        const auto device = insist([&] { return test::open_device(faults); });
        VulkanChain chain = insist([&] { return VulkanChain::create(*device); });
        for (const unsigned seed : {1u, 2u}) {
            insist([&] { return chain.run(1, seed); });
            auto got = chain.read();  // which has no error to tell
            for (; !got; got = chain.read()) failed = true;
            VulkanChain::check(seed, got);
        }
    }
};

TEST_CASE("memory: any allocation in the life of a device may fail, it says what for, and the device goes on") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        std::set<std::string> named;
        int64_t n = 1;
        for (bool failed = true; failed; ++n) {
            CAPTURE(n);
            VulkanFaults faults(memory);
            // A card has two types that may be read.
            const int64_t last = memory == VulkanFaults::Memory::card ? n + 1 : n;
            for (int64_t to = n; to <= last; ++to) {
                faults.memory.between(n, to, VK_ERROR_OUT_OF_DEVICE_MEMORY);
                Life life{faults};
                life.live();
                failed = life.failed || faults.memory.calls >= n;
                named.insert(life.named.begin(), life.named.end());
            }
            REQUIRE(n < 40);
        }
        CHECK(n > 8);
        std::set<std::string> wanted = {"weights", "cache or step buffers", "results", "inputs of a step", "int8 rows of a step",
                                        "partial results of attention"};
        if (memory == VulkanFaults::Memory::card) wanted.insert("staging");
        for (const std::string& name : wanted) {
            CAPTURE(name);
            CHECK(named.count(name) == 1);
        }
    }
}

}  // namespace
