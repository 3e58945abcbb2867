// Loader, layers, instance; see instance.h.
#include "runtime/vulkan/instance.h"

#include <algorithm>
#include <cstring>
#include <mutex>

namespace lapidary::runtime::vulkan {
namespace {

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void* sink) {
    (*static_cast<MessageSink*>(sink))(data->pMessage);
    return VK_FALSE;
}

bool has_layer(const char* wanted) {
    uint32_t count = 0;
    vkEnumerateInstanceLayerProperties(&count, nullptr);
    std::vector<VkLayerProperties> layers(count);
    vkEnumerateInstanceLayerProperties(&count, layers.data());
    return std::any_of(layers.begin(), layers.end(),
                       [&](const VkLayerProperties& l) { return std::strcmp(l.layerName, wanted) == 0; });
}

bool has_extension(const char* layer, const char* wanted) {
    uint32_t count = 0;
    vkEnumerateInstanceExtensionProperties(layer, &count, nullptr);
    std::vector<VkExtensionProperties> extensions(count);
    vkEnumerateInstanceExtensionProperties(layer, &count, extensions.data());
    return std::any_of(extensions.begin(), extensions.end(),
                       [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, wanted) == 0; });
}

VkResult open_loader() {
    static std::once_flag once;
    static VkResult result = VK_SUCCESS;
    std::call_once(once, [] { result = volkInitialize(); });
    return result;
}

constexpr const char* kLayer = "VK_LAYER_KHRONOS_validation";

}  // namespace

Result<std::shared_ptr<Instance>> Instance::create(const InstanceOptions& options) {
    if (open_loader() != VK_SUCCESS)
        return Error{Errc::device_unavailable, "there is no Vulkan loader on this machine (libvulkan.so.1)",
                     "install the GPU's Vulkan driver (Debian: mesa-vulkan-drivers), or set EngineOptions::placement to cpu"};
    const bool validate = options.validation != Validation::off;
    if (validate && !has_layer(kLayer))
        return Error{Errc::device_unavailable, std::string(kLayer) + " is not installed",
                     "Debian: vulkan-validationlayers"};

    auto made = std::shared_ptr<Instance>(new Instance());
    made->messages_ = options.messages;
    made->debug_utils_ = has_extension(nullptr, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) ||
                         (validate && has_extension(kLayer, VK_EXT_DEBUG_UTILS_EXTENSION_NAME));
    const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
    application.pApplicationName = application.pEngineName = "lapidary";
    application.apiVersion = VK_API_VERSION_1_2;
    const VkValidationFeatureEnableEXT core[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    const VkValidationFeatureEnableEXT assisted[] = {VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT,
                                                     VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_RESERVE_BINDING_SLOT_EXT};
    VkValidationFeaturesEXT features{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
    features.enabledValidationFeatureCount = options.validation == Validation::core ? 1 : 2;
    features.pEnabledValidationFeatures = options.validation == Validation::core ? core : assisted;
    VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    info.pApplicationInfo = &application;
    info.enabledExtensionCount = made->debug_utils_ ? 1 : 0;
    info.ppEnabledExtensionNames = &extension;
    if (validate) {
        info.pNext = &features;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &kLayer;
    }
    const VkResult r = vkCreateInstance(&info, nullptr, &made->instance_);
    if (r == VK_ERROR_INCOMPATIBLE_DRIVER)
        return Error{Errc::device_unavailable, "the Vulkan loader is here, and no driver of a GPU",
                     "install the GPU's Vulkan driver (Debian: mesa-vulkan-drivers), or set EngineOptions::placement to cpu"};
    if (r != VK_SUCCESS) return failure("no Vulkan instance", r);
    volkLoadInstanceOnly(made->instance_);
    if (validate && made->debug_utils_ && made->messages_) {
        VkDebugUtilsMessengerCreateInfoEXT messenger{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
        messenger.messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
        messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
        messenger.pfnUserCallback = on_message;
        messenger.pUserData = &made->messages_;
        vkCreateDebugUtilsMessengerEXT(made->instance_, &messenger, nullptr, &made->messenger_);
    }
    return made;
}

Instance::~Instance() {
    if (messenger_) vkDestroyDebugUtilsMessengerEXT(instance_, messenger_, nullptr);
    if (instance_) vkDestroyInstance(instance_, nullptr);
}

Result<std::vector<VkPhysicalDevice>> Instance::devices() const {
    uint32_t count = 0;
    if (const VkResult r = vkEnumeratePhysicalDevices(instance_, &count, nullptr); r != VK_SUCCESS)
        return failure("asking for Vulkan devices", r);
    std::vector<VkPhysicalDevice> devices(count);
    if (count > 0) vkEnumeratePhysicalDevices(instance_, &count, devices.data());
    devices.resize(count);
    return devices;
}

}  // namespace lapidary::runtime::vulkan
