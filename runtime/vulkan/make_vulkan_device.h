// GPUs as devices: which there are, and one of them opened. Includes nothing of Vulkan, and is there in builds without it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device.h"

namespace lapidary::runtime {

struct VulkanSettings {
    std::string device;    // a number as `doctor` counts, or a part of a name; empty: the best that is no software device
    bool precise = false;  // products take f32
    // Where the driver's compiled code and the verdicts on shaders are kept; empty: nowhere.
    std::filesystem::path cache_folder = {};
    // Not null: validation layers are on, and this gets what they say, from any thread. An error where they are missing.
    std::function<void(const std::string& message)> messages = {};
    bool find_hazards = false;  // every recording is searched for missing barriers, which are an error: for tests
    bool shared_weights = false;  // placed weights are for the CPU device too: device_unavailable where no memory is both's
    double piece_seconds = 0.1;  // of work in one submit, about: drivers give devices up that do not answer for seconds
};

struct OpenedGpu {
    std::string name;
    std::unique_ptr<Device> device;
};
// device_unavailable says why none can be used, with every device's reasons.
Result<OpenedGpu> make_vulkan_device(const VulkanSettings& settings);

struct GpuHeap {
    uint64_t bytes = 0, budget_bytes = 0;  // budget: what the driver lends this process; 0: it does not say
    bool device_local = false;
};
// What is known of a device's shaders, from its file in a cache folder.
struct GpuVerdicts {
    struct Winner {
        std::string race, winner;  // "matvec_q4_0_dot k3840", "64x2"
        double speedup = 1;
    };
    std::filesystem::path file;  // empty: nothing is kept
    std::vector<std::string> passed;
    std::vector<std::pair<std::string, std::string>> failed;  // and why
    std::vector<std::string> untested;  // shaders of products that the device can run; they are tested when a model wants them
    std::vector<Winner> winners;
};
// One device as its driver describes it. Of a device that speaks less than Vulkan 1.2 the features are not asked for.
struct GpuFacts {
    int index = 0;
    std::string name, type, driver, api;  // type: integrated, discrete, virtual, software, other
    bool software = false, unified = false;
    std::vector<GpuHeap> heaps;
    std::vector<std::pair<std::string, bool>> features;    // those that shaders make use of
    std::vector<std::string> matrices;                      // cooperative: "f16 16x16x16", "int8 16x16x32"
    std::vector<std::pair<std::string, uint64_t>> limits;  // subgroup_min, _max: 0 where no size can be required
    std::vector<std::string> reasons;  // why it cannot be used; empty: it can
    GpuVerdicts verdicts;
};
struct GpuReport {
    std::string problem;  // why there is no list: no loader, no driver, a build without Vulkan
    std::vector<GpuFacts> gpus;
};
GpuReport list_gpus(const std::filesystem::path& cache_folder = {});

// The device that make_vulkan_device would open, or its error; nothing is opened.
Result<GpuFacts> find_gpu(const std::string& device, const std::filesystem::path& cache_folder = {});

}  // namespace lapidary::runtime
