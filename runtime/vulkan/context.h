// A logical device with one queue, and what everything in this folder calls it through. Shared by buffers, which keep it
// alive. Only allocate() and the end of buffers may come from any thread; the rest belongs to one caller at a time.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "runtime/vulkan/physical_device.h"

namespace lapidary::runtime::vulkan {

class Context {
  public:
    // `explains`: the driver tells what its compiler made of pipelines (compiler_report.h). An error where it cannot.
    static Result<std::shared_ptr<Context>> create(std::shared_ptr<Instance> instance, const DeviceFacts& facts,
                                                   bool explains = false);
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    const DeviceFacts& facts() const { return facts_; }
    bool explains() const { return explains_; }
    const Instance& instance() const { return *instance_; }
    VkDevice device() const { return device_; }
    VkQueue queue() const { return queue_; }
    std::mutex& queue_lock() const { return queue_lock_; }  // while something is submitted: memory is zeroed from any thread
    const VolkDeviceTable& vk() const { return table_; }
    VolkDeviceTable& vk_for_tests() { return table_; }

    // Names that validation layers and capture tools show, of objects and around commands.
    void name_object(VkObjectType type, uint64_t handle, const std::string& name) const;
    bool has_labels() const { return instance_->has_debug_utils() && vkCmdBeginDebugUtilsLabelEXT && vkCmdEndDebugUtilsLabelEXT; }
    void begin_label(VkCommandBuffer commands, const std::string& name) const;  // these two only with has_labels()
    void end_label(VkCommandBuffer commands) const { vkCmdEndDebugUtilsLabelEXT(commands); }

    // Bytes still free on the heap of a memory type, by the driver's budget where it tells one.
    uint64_t free_bytes(uint32_t memory_type) const;
    uint64_t allocated_bytes(uint32_t heap) const { return allocated_[heap]; }
    void count_bytes(uint32_t memory_type, int64_t bytes);

  private:
    Context() = default;
    std::shared_ptr<Instance> instance_;
    DeviceFacts facts_;
    bool explains_ = false;
    VkDevice device_ = VK_NULL_HANDLE;
    VkQueue queue_ = VK_NULL_HANDLE;
    mutable std::mutex queue_lock_;
    VolkDeviceTable table_{};
    std::atomic<uint64_t> allocated_[VK_MAX_MEMORY_HEAPS] = {};
};

}  // namespace lapidary::runtime::vulkan
