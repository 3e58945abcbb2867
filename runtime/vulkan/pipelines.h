// Pipelines by shader and constants, made when first asked for and kept. The driver's cache of compiled code goes to a file
// and comes back from it; what does not fit this device, or is not as it was written, is ignored.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
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

    // From any thread; nobody waits for the making of another key.
    Result<VkPipeline> get(const PipelineKey& key);
    // Makes what the last run with this cache file asked for, on a thread of its own. Once.
    void warm();
    void finish_warming();  // waits for all of it
    VkPipelineLayout layout() const { return layout_; }  // 128 bytes of push constants, no descriptors
    size_t count() const;
    size_t waited_for() const;  // of these, made while a caller of get() waited
    // Ends warming, and writes the driver's cache and the keys that were asked for, each whole or not at all.
    Result<void> save();

  private:
    Pipelines() = default;
    Result<VkPipeline> make(const PipelineKey& key);
    Result<VkPipeline> make_once(const PipelineKey& key, bool waited);
    Result<VkShaderModule> module_of(Shader shader);
    std::filesystem::path keys_file() const;
    std::vector<PipelineKey> read_keys() const;
    Result<void> save_keys() const;
    void stop_warming();

    std::shared_ptr<Context> context_;
    std::filesystem::path file_;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    VkPipelineCache cache_ = VK_NULL_HANDLE;
    mutable std::mutex lock_;
    std::map<PipelineKey, VkPipeline> made_;
    std::map<Shader, VkShaderModule> modules_;
    std::set<PipelineKey> asked_, being_made_;
    std::condition_variable one_made_;
    size_t waited_for_ = 0;
    std::thread warmer_;
    std::atomic<bool> stop_{false};
    int warmer_process_ = 0;  // a forked child has no such thread
};

inline constexpr uint32_t kPushBytes = 128;

}  // namespace lapidary::runtime::vulkan
