// The loader and an instance, and the devices that it shows. A machine without a loader is an error with a reason, like
// everything else here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/vulkan/api.h"

namespace lapidary::runtime::vulkan {

// What validation layers say, one message a call; from any thread.
using MessageSink = std::function<void(const std::string& message)>;

enum class Validation : uint8_t { off, core, gpu_assisted };  // core: with synchronisation

struct InstanceOptions {
    Validation validation = Validation::off;  // an error where the layer is not installed
    MessageSink messages;
};

class Instance {
  public:
    static Result<std::shared_ptr<Instance>> create(const InstanceOptions& options = {});
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    VkInstance handle() const { return instance_; }
    bool has_debug_utils() const { return debug_utils_; }
    Result<std::vector<VkPhysicalDevice>> devices() const;

  private:
    Instance() = default;
    VkInstance instance_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    bool debug_utils_ = false;
    MessageSink messages_;
};

}  // namespace lapidary::runtime::vulkan
