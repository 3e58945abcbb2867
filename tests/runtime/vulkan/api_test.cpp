// Results of Vulkan as errors.
#include "runtime/vulkan/api.h"

#include <doctest/doctest.h>

#include <string>

using namespace lapidary;
namespace {

using namespace runtime::vulkan;

TEST_CASE("vulkan results: by their names, as the errors that callers tell apart, each with a hint") {
    CHECK(std::string(name(VK_ERROR_DEVICE_LOST)) == "VK_ERROR_DEVICE_LOST");
    CHECK(std::string(name(static_cast<VkResult>(-12345))) == "an unknown VkResult");
    const Error lost = failure("submitting to a GPU", VK_ERROR_DEVICE_LOST);
    CHECK(lost.code == Errc::device_lost);
    CHECK(lost.message == "submitting to a GPU: VK_ERROR_DEVICE_LOST (-4)");
    for (const VkResult r : {VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_OUT_OF_POOL_MEMORY, VK_ERROR_FRAGMENTATION})
        CHECK(failure("x", r).code == Errc::out_of_memory);
    for (const VkResult r : {VK_ERROR_DEVICE_LOST, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_INITIALIZATION_FAILED, static_cast<VkResult>(-12345)})
        CHECK(!failure("x", r).hint.empty());
    CHECK(failure("x", static_cast<VkResult>(-12345)).code == Errc::device_unavailable);
}

}  // namespace
