// Pipelines that the driver refuses, and the file of compiled code: whole, cut, damaged, of another.
#include "runtime/vulkan/pipelines.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/support/scratch_folder.h"
#include "tests/support/vulkan_faults.h"

using namespace lapidary;
namespace {

using namespace runtime::vulkan;
using test::VulkanFaults;

std::unique_ptr<Pipelines> open(const VulkanFaults& faults, const std::filesystem::path& file) {
    auto made = Pipelines::create(faults.context, file);
    REQUIRE_MESSAGE(made, made.error().message);
    return std::move(*made);
}

TEST_CASE("pipelines: made once for each shader and its constants") {
    VulkanFaults faults;
    const auto pipelines = open(faults, {});
    const auto first = pipelines->get({Shader::add, {64}}), again = pipelines->get({Shader::add, {64}}), other = pipelines->get({Shader::add, {128}});
    REQUIRE(first);
    REQUIRE(other);
    CHECK(*first == *again);
    CHECK(*first != *other);
    CHECK(pipelines->count() == 2);
    CHECK(faults.pipelines.calls == 2);
    CHECK(pipelines->save());  // to nowhere
}

TEST_CASE("pipelines: what the driver refuses is an error with the shader's name, and may be asked for again") {
    VulkanFaults faults;
    const auto pipelines = open(faults, {});
    for (const auto& [result, code] : {std::pair{VK_ERROR_UNKNOWN, Errc::device_unavailable}, {VK_ERROR_OUT_OF_HOST_MEMORY, Errc::out_of_memory},
                                       {VK_ERROR_DEVICE_LOST, Errc::device_lost}}) {
        faults.pipelines.once(1, result);
        const auto refused = pipelines->get({Shader::soft_cap, {64}});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == code);
        CHECK(refused.error().message.find("the driver compiles no pipeline of the shader soft_cap: VK_ERROR_") == 0);
    }
    CHECK(pipelines->count() == 0);
    CHECK(pipelines->get({Shader::soft_cap, {64}}));
}

TEST_CASE("pipelines: a shader that the device has no features for is refused before the driver sees it") {
    VulkanFaults faults(VulkanFaults::Memory::same, [](DeviceFacts& facts) { facts.dot = false; });
    const auto pipelines = open(faults, {});
    const auto refused = pipelines->get({Shader::peak_dot, {64}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("peak_dot") != std::string::npos);
    CHECK(faults.pipelines.calls == 0);
}

// What the driver is given of a file: its bytes as they were saved, or nothing.
size_t given = 0;
PFN_vkCreatePipelineCache create_cache = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL watch_cache(VkDevice device, const VkPipelineCacheCreateInfo* info, const VkAllocationCallbacks* how,
                                           VkPipelineCache* out) {
    given = info->initialDataSize;
    return create_cache(device, info, how, out);
}

TEST_CASE("pipelines: a file that is cut, damaged or of another driver is as none, and is written whole again") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "gpu.pipelines";
    VulkanFaults faults;
    create_cache = faults.context->vk().vkCreatePipelineCache;
    faults.context->vk_for_tests().vkCreatePipelineCache = watch_cache;
    const auto use = [&] {
        const auto pipelines = open(faults, file);
        CHECK(pipelines->get({Shader::add, {64}}));
        REQUIRE(pipelines->save());
        return given;
    };
    CHECK(use() == 0);
    const std::string whole = test::read_file(file);
    CHECK(use() == whole.size() - 24);
    const auto with = [&](size_t at, char by) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ by);
        return damaged;
    };
    std::string foreign = with(24 + sizeof(VkPipelineCacheHeaderVersionOne) - 1, 1);  // whole, of another UUID
    const uint64_t hash = XXH3_64bits(foreign.data() + 24, foreign.size() - 24);
    std::memcpy(foreign.data() + 16, &hash, sizeof hash);
    for (const std::string& bytes : {std::string(), std::string("x"), whole.substr(0, 20), whole.substr(0, 40), whole.substr(0, whole.size() - 1),
                                     whole + "x", with(0, 1), with(9, 1), with(30, 1), with(whole.size() / 2, 1), with(whole.size() - 1, 64), foreign}) {
        folder.write("gpu.pipelines", bytes);
        CHECK(use() == 0);
        CHECK(test::read_file(file).size() >= 24 + sizeof(VkPipelineCacheHeaderVersionOne));
        CHECK(use() > 0);
    }
}

TEST_CASE("pipelines: what one run asked for is there in the next before it is asked for") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "gpu.pipelines";
    const PipelineKey keys[] = {{Shader::add, {64}}, {Shader::add, {128}}, {Shader::soft_cap, {64}}};
    VulkanFaults faults;
    {
        const auto first = open(faults, file);
        first->warm();  // of nothing
        for (const PipelineKey& key : keys) REQUIRE(first->get(key));
        CHECK(first->waited_for() == 3);
        REQUIRE(first->save());
    }
    {
        const auto next = open(faults, file);
        next->warm();
        next->finish_warming();
        CHECK(next->count() == 3);
        REQUIRE(next->get(keys[2]));
        CHECK(next->waited_for() == 0);
        REQUIRE(next->save());
    }
    const auto warmed = [&] {
        const auto last = open(faults, file);
        last->warm();
        last->finish_warming();
        return last->count();
    };
    CHECK(warmed() == 1);  // of what the last run wanted
    const std::string whole = test::read_file(folder.path() / "gpu.pipelines.keys");
    for (const std::string& damaged : {std::string(), whole.substr(0, whole.size() - 2), whole + "1 0 64\n", "1" + whole}) {
        folder.write("gpu.pipelines.keys", damaged);
        CHECK(warmed() == 0);
    }
}

// Holds back the first pipeline that is made until it is let go.
PFN_vkCreateComputePipelines create_pipelines = nullptr;
std::mutex gate_lock;
std::condition_variable gate;
bool inside = false, open_gate = false;
VKAPI_ATTR VkResult VKAPI_CALL wait_at_gate(VkDevice device, VkPipelineCache cache, uint32_t count, const VkComputePipelineCreateInfo* infos,
                                            const VkAllocationCallbacks* how, VkPipeline* out) {
    {
        std::unique_lock guard(gate_lock);
        if (!std::exchange(inside, true)) {
            gate.notify_all();
            gate.wait(guard, [] { return open_gate; });
        }
    }
    return create_pipelines(device, cache, count, infos, how, out);
}

TEST_CASE("pipelines: a caller waits for its own alone, also while others are warmed") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "gpu.pipelines";
    VulkanFaults faults;
    {
        const auto first = open(faults, file);
        REQUIRE(first->get({Shader::add, {64}}));
        REQUIRE(first->save());
    }
    create_pipelines = faults.context->vk().vkCreateComputePipelines;
    faults.context->vk_for_tests().vkCreateComputePipelines = wait_at_gate;
    const auto next = open(faults, file);
    next->warm();
    {
        std::unique_lock guard(gate_lock);
        gate.wait(guard, [] { return inside; });
    }
    CHECK(next->get({Shader::soft_cap, {64}}));  // the other is still being made
    CHECK(next->count() == 1);
    std::thread late([&] {
        const std::lock_guard guard(gate_lock);
        open_gate = true;
        gate.notify_all();
    });
    CHECK(next->get({Shader::add, {64}}));  // which is the warmer's
    late.join();
    CHECK(next->count() == 2);
    CHECK(next->waited_for() == 1);
}

TEST_CASE("pipelines: a file that cannot be written is an error, and leaves the old one") {
    const test::ScratchFolder folder;
    VulkanFaults faults;
    const auto pipelines = open(faults, folder.path() / "none" / "gpu.pipelines");
    const auto saved = pipelines->save();
    REQUIRE_FALSE(saved);
    CHECK(saved.error().message.find("gpu.pipelines") != std::string::npos);
}

}  // namespace
