// Pipelines by shader and constants, made when first asked for and kept. The driver's cache of compiled code goes to a file
// and comes back from it; what does not fit this device, or is not as it was written, is ignored.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/vulkan/context.h"
#include "runtime/vulkan/shader_table.h"

namespace lapidary::runtime::vulkan {

// Constant i of the shader is constants[i]; constant 0 is the size of the workgroup.
struct PipelineKey {
    Shader shader;
    std::vector<uint32_t> constants;
    uint32_t subgroup = 0;  // required size; 0: the driver's choice
    auto operator<=>(const PipelineKey&) const = default;
};

class Pipelines {
  public:
    // An empty path: nothing is read or written.
    static Result<std::unique_ptr<Pipelines>> create(std::shared_ptr<Context> context, std::filesystem::path cache_file);
    ~Pipelines();
    Pipelines(const Pipelines&) = delete;
    Pipelines& operator=(const Pipelines&) = delete;

    Result<VkPipeline> get(const PipelineKey& key);  // from any thread
    VkPipelineLayout layout() const { return layout_; }  // 128 bytes of push constants, no descriptors
    size_t count() const;
    // Writes the driver's cache, whole or not at all.
    Result<void> save() const;

  private:
    Pipelines() = default;
    Result<VkPipeline> make(const PipelineKey& key);

    std::shared_ptr<Context> context_;
    std::filesystem::path file_;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    VkPipelineCache cache_ = VK_NULL_HANDLE;
    mutable std::mutex lock_;
    std::map<PipelineKey, VkPipeline> made_;
    std::map<Shader, VkShaderModule> modules_;
};

inline constexpr uint32_t kPushBytes = 128;

}  // namespace lapidary::runtime::vulkan
