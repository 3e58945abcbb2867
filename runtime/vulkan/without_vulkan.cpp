// A build without Vulkan; see make_vulkan_device.h.
#include "runtime/vulkan/make_vulkan_device.h"

namespace lapidary::runtime {
namespace {

constexpr const char* kProblem = "this build has no Vulkan";

Error no_vulkan() {
    return {Errc::device_unavailable, kProblem, "configure with -DLAP_VULKAN=ON, or set EngineOptions::placement to cpu"};
}

}  // namespace

Result<OpenedGpu> make_vulkan_device(const VulkanSettings&) { return no_vulkan(); }

Result<GpuFacts> find_gpu(const std::string&, const std::filesystem::path&) { return no_vulkan(); }

GpuReport list_gpus(const std::filesystem::path&) { return {kProblem, {}}; }

}  // namespace lapidary::runtime
