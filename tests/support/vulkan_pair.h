// The same step on a Vulkan device and on the scalar reference of the CPU: buffers with the same content, the same
// operations, results side by side.
#pragma once

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/support/vulkan_rig.h"

namespace lapidary::test {

class VulkanPair {
  public:
    explicit VulkanPair(vulkan::VulkanOptions options = {.precise = true, .self_test = false})
        : cpu(*kernels::select("ref", nullptr), 1, options.precise) {
        auto made = vulkan::VulkanDevice::create(VulkanRig::get().context, options);
        REQUIRE_MESSAGE(made, made.error().message);
        gpu = std::move(*made);
    }
    ~VulkanPair() { VulkanRig::get().check_messages(); }

    runtime::CpuDevice cpu;
    std::unique_ptr<vulkan::VulkanDevice> gpu;

    // A matrix on both devices.
    struct Rows {
        runtime::Buffer on_cpu, on_gpu;
        runtime::TensorView cpu, gpu;
    };
    Rows rows(int64_t count, int64_t cols, const std::vector<float>& values) {
        const auto bytes = static_cast<size_t>(count * cols) * sizeof(float);
        Rows r{allocate(cpu, bytes), allocate(*gpu, bytes), {}, {}};
        r.cpu = runtime::view(r.on_cpu, runtime::Format::f32, count, cols);
        r.gpu = runtime::view(r.on_gpu, runtime::Format::f32, count, cols);
        set(r, values);
        return r;
    }
    Rows random(int64_t count, int64_t cols, unsigned seed, float scale = 1.0f) {
        return rows(count, cols, random_values(count * cols, seed, scale));
    }
    Rows poisoned(int64_t count, int64_t cols) {
        return rows(count, cols, std::vector<float>(static_cast<size_t>(count * cols), std::nanf("")));
    }
    void set(const Rows& r, const std::vector<float>& values) {
        std::memcpy(runtime::host_bytes(r.cpu), values.data(), values.size() * sizeof(float));
        std::memcpy(vulkan::vulkan_buffer(*r.on_gpu).mapped(), values.data(), values.size() * sizeof(float));
    }

    // Runs one step on both: fill(inputs) and note(device, on_gpu) are called for each. A key without an identity is given
    // one of its own: nothing replays.
    using Fill = std::function<void(const runtime::StepInputs&)>;
    using Note = std::function<void(runtime::Device& device, bool on_gpu)>;
    void run(runtime::StepKey key, const Fill& fill, const Note& note) {
        if (key.weights == 0) key.weights = runtime::new_identity();
        for (runtime::Device* device : {static_cast<runtime::Device*>(&cpu), static_cast<runtime::Device*>(gpu.get())}) {
            const auto recording = device->begin(key, {});
            REQUIRE_MESSAGE(recording, recording.error().message);
            if (fill) fill(recording->inputs);
            if (!recording->replays) {
                note(*device, device == gpu.get());
                device->end();
            }
            const auto done = device->wait(device->submit());
            REQUIRE_MESSAGE(done, done.error().message);
        }
    }

    std::vector<float> read_gpu(const Rows& r) { return floats(gpu->read(r.gpu), r.gpu); }
    std::vector<float> read_cpu(const Rows& r) { return floats(cpu.read(r.cpu), r.cpu); }

    static std::vector<float> random_values(int64_t count, unsigned seed, float scale = 1.0f) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal(0.0f, scale);
        std::vector<float> out(static_cast<size_t>(count));
        for (float& v : out) v = normal(random);
        return out;
    }

  private:
    static runtime::Buffer allocate(runtime::Device& device, size_t bytes) {
        auto buffer = device.allocate(bytes, runtime::MemoryKind::readback);
        REQUIRE_MESSAGE(buffer, buffer.error().message);
        return *buffer;
    }
    static std::vector<float> floats(const std::byte* bytes, const runtime::TensorView& v) {
        REQUIRE(bytes != nullptr);
        std::vector<float> out(static_cast<size_t>(v.rows * v.cols));
        std::memcpy(out.data(), bytes, out.size() * sizeof(float));
        return out;
    }
};

// Every value within `relative` of the larger of the two plus `absolute`; NaN is never.
inline void check_near(const std::vector<float>& got, const std::vector<float>& wanted, double relative, double absolute = 0) {
    REQUIRE(got.size() == wanted.size());
    size_t bad = 0;
    for (size_t i = 0; i < got.size() && bad < 5; ++i) {
        const double limit = relative * std::max(std::fabs(got[i]), std::fabs(wanted[i])) + absolute;
        if (!(std::fabs(double{got[i]} - wanted[i]) <= limit)) {
            ++bad;
            FAIL_CHECK("value ", i, " is ", got[i], ", the reference ", wanted[i], ", limit ", limit);
        }
    }
}

}  // namespace lapidary::test
