// Opens an engine on the devices that the environment names: LAPIDARY_TEST_DEVICES is a list of "cpu", "far", "gpu" and
// "gpu+cpu" (which share the rows of every matrix, other ones for prompts and for replies), the layers shared evenly; without
// it, whatever Engine::open takes. So whole test files run on devices unlike the host.
// "gpu" is the Vulkan device that LAPIDARY_TEST_GPU names (default: a software device); with LAPIDARY_TEST_VALIDATION
// anything that validation layers say fails the test.
#pragma once

#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "model/engine_state.h"
#include "runtime/split_device.h"
#include "runtime/vulkan/make_vulkan_device.h"
#include "tests/support/far/far_device.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"

namespace lapidary::test {

// One device of a test engine: the CPU, a GPU, or a FarDevice with a mistake; alone, or with a far helper that
// multiplies the rows of every matrix from this share on.
struct TestDevice {
    bool far = true;
    FarFault fault = FarFault::none;
    double helper_from = 1.0;
    std::shared_ptr<FarTrouble> trouble = {};
    bool gpu = false, with_cpu = false;
};

// Whether open_engine opens models on a Vulkan device.
inline bool on_gpu() {
    const char* wanted = std::getenv("LAPIDARY_TEST_DEVICES");
    return wanted && std::string(wanted).find("gpu") != std::string::npos;
}

inline Result<runtime::OpenedGpu> make_test_gpu(const EngineOptions& options, bool shared_weights = false) {
    const char* device = std::getenv("LAPIDARY_TEST_GPU");
    static const ScratchFolder verdicts;  // one self-test for all engines of a test program
    runtime::VulkanSettings settings{.device = device ? device : "llvmpipe", .precise = options.precise,
                                     .cache_folder = verdicts.path(), .find_hazards = true,
                                     .shared_weights = shared_weights};
    if (std::getenv("LAPIDARY_TEST_VALIDATION"))
        settings.messages = [](const std::string& message) { FAIL_CHECK(message); };
    return runtime::make_vulkan_device(settings);
}

// `cuts`: the first layer of every device but the first, ascending; empty: shared evenly.
inline PartsMaker parts_of(std::vector<TestDevice> devices, std::vector<int32_t> cuts = {}) {
    return [devices, cuts](const EngineOptions& options,
                           const model::LoadedModel& loaded, Attempt) -> Result<std::vector<model::DevicePart>> {
        const auto layers = static_cast<int32_t>(loaded.config.layers.size()),
                   count = static_cast<int32_t>(devices.size());
        const auto first_of = [&](int32_t i) {
            if (i == 0 || i == count) return i == 0 ? 0 : layers;
            return cuts.empty() ? layers * i / count : cuts[static_cast<size_t>(i) - 1];
        };
        std::vector<model::DevicePart> parts;
        for (int32_t i = 0; i < count; ++i) {
            auto made = cpu_part(options, loaded);
            if (!made) return made.error();
            model::DevicePart part = std::move(made->front());
            if (devices[static_cast<size_t>(i)].gpu) {
                const bool shared = devices[static_cast<size_t>(i)].with_cpu;
                auto gpu = make_test_gpu(options, shared);
                if (!gpu) return gpu.error();
                part.gpu = "gpu";
                auto cpu = std::exchange(part.device, std::move(gpu->device));
                if (shared)
                    part.device = std::make_unique<runtime::SplitDevice>(
                        std::move(part.device), std::move(cpu),
                        [](int64_t rows, int64_t, int64_t columns) { return rows / (columns > 8 ? 64 : 32) * 16; });
            } else if (devices[static_cast<size_t>(i)].far) {
                part.gpu = "far";
                const auto table = kernel_table(options.research.cpu_level);
                if (!table) return table.error();
                const auto threads = thread_count(options.threads);
                if (!threads) return threads.error();
                part.device = std::make_unique<FarDevice>(**table, *threads, options.precise,
                                                          devices[static_cast<size_t>(i)].fault,
                                                          devices[static_cast<size_t>(i)].trouble);
            }
            if (const double from = devices[static_cast<size_t>(i)].helper_from; from < 1.0) {
                const auto table = kernel_table(options.research.cpu_level);
                auto helper = std::make_unique<FarDevice>(**table, 1, options.precise);
                part.device = std::make_unique<runtime::SplitDevice>(
                    std::move(part.device), std::move(helper), [from](int64_t rows, int64_t, int64_t) {
                        return static_cast<int64_t>(from * static_cast<double>(rows)) / 16 * 16;
                    });
            }
            part.first = first_of(i);
            part.last = first_of(i + 1);
            parts.push_back(std::move(part));
        }
        return parts;
    };
}

inline Result<Engine> open_on(const EngineOptions& options, const PartsMaker& parts) {
    auto loaded = model::load_model(load_options(options));
    if (!loaded) return loaded.error();
    return make_engine(options, std::move(*loaded), std::chrono::steady_clock::now(), Packing::now, parts);
}

inline Result<Engine> open_engine(const EngineOptions& options) {
    const char* wanted = std::getenv("LAPIDARY_TEST_DEVICES");
    if (!wanted) return Engine::open(options);
    std::vector<TestDevice> devices;
    std::istringstream names(wanted);
    for (std::string name; std::getline(names, name, ',');) {
        if (name != "far" && name != "cpu" && name != "gpu" && name != "gpu+cpu")
            FAIL("LAPIDARY_TEST_DEVICES names '", name, "', neither cpu nor far nor gpu nor gpu+cpu");
        devices.push_back({.far = name == "far", .gpu = name.starts_with("gpu"), .with_cpu = name == "gpu+cpu"});
    }
    return open_on(options, parts_of(devices));
}

// The counts of the n-th device of an engine made of far ones.
inline const FarDevice::Counts& far_counts(const Engine& engine, size_t n = 0) {
    return dynamic_cast<const FarDevice&>(*model::Access::state(engine).parts[n].device).counts();
}

}  // namespace lapidary::test
