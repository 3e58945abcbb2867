// A step of some layers for tests of how a device records, cuts and loses it: rows of the host, and on them norms and sums in
// such an order that some need barriers and some do not.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "base/try.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/support/vulkan_faults.h"

namespace lapidary::test {

class VulkanChain {
  public:
    static constexpr int32_t kColumns = 3, kWidth = 64, kLayers = 3;
    static constexpr int64_t kDispatches = 2 + 4 * kLayers;  // the host's rows, the layers, the last norm
    static constexpr int64_t kBarriers = 1 + 3 * kLayers;    // the two norms of a layer need none between them

    static Result<VulkanChain> create(vulkan::VulkanDevice& device) {
        VulkanChain c(device);
        constexpr size_t kBytes = kColumns * kWidth * sizeof(float);
        LAP_ASSIGN(c.source_, runtime::allocate_host(kWidth * sizeof(float)));
        auto* weights = reinterpret_cast<float*>(runtime::host_bytes(*c.source_));
        for (int32_t i = 0; i < kWidth; ++i) weights[i] = weight(i);
        LAP_ASSIGN(c.weight_, device.place(runtime::view(c.source_, runtime::Format::f32, 1, kWidth), runtime::Use::values, {}));
        for (runtime::Buffer* buffer : {&c.x_, &c.y_, &c.z_}) {
            LAP_ASSIGN(*buffer, device.allocate(kBytes, runtime::MemoryKind::state));
        }
        LAP_ASSIGN(c.out_, device.allocate(kBytes, runtime::MemoryKind::readback));
        return c;
    }
    static VulkanChain make(vulkan::VulkanDevice& device) {
        auto made = create(device);
        REQUIRE_MESSAGE(made, made.error().message);
        return std::move(*made);
    }

    // A key of its own for each `id`; the shape may have more columns than the rows that are worked on.
    runtime::StepKey key(uint64_t id, int32_t columns = kColumns) const {
        runtime::StepShape shape{.kind = runtime::StepKind::rows, .columns = columns, .row_width = kWidth, .widest = kWidth};
        return {.shape = shape, .weights = id};
    }
    static std::vector<float> rows(unsigned seed) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        std::vector<float> out(kColumns * kWidth);
        for (float& v : out) v = normal(random);
        return out;
    }

    // Whether it was replayed, or what wait() says; begin() as it goes.
    Result<bool> run(uint64_t id, unsigned seed, const runtime::StepWatch& watch = {}) {
        LAP_ASSIGN(const bool replays, begin(key(id), seed, watch));
        LAP_TRY(device_->wait(device_->submit()));
        return replays;
    }
    // Up to submit().
    Result<bool> begin(const runtime::StepKey& wanted, unsigned seed, const runtime::StepWatch& watch = {}) {
        LAP_ASSIGN(const runtime::Recording recording, device_->begin(wanted, watch));
        const std::vector<float> values = rows(seed);
        std::memcpy(recording.inputs.rows(), values.data(), values.size() * sizeof(float));
        if (recording.replays) return true;
        note();
        device_->end();
        return false;
    }
    void note() {
        runtime::Device& d = *device_;
        const auto view = [](const runtime::Buffer& b) { return runtime::view(b, runtime::Format::f32, kColumns, kWidth); };
        d.layer("input", -1);
        d.input_rows(runtime::Device::Rows::all, view(x_), 0);
        for (int32_t i = 0; i < kLayers; ++i) {
            d.layer("test", i);
            d.rms_norm(view(x_), weight_.view, kEpsilon, view(y_));
            d.rms_norm(view(x_), {}, kEpsilon, view(z_));
            d.add(view(x_), view(y_));
            d.add(view(x_), view(z_));
        }
        d.layer("output", -1);
        d.rms_norm(view(x_), weight_.view, kEpsilon, view(out_));
    }
    std::optional<std::vector<float>> read() {
        const std::byte* bytes = device_->read(runtime::view(out_, runtime::Format::f32, kColumns, kWidth));
        if (!bytes) return std::nullopt;
        std::vector<float> out(kColumns * kWidth);
        std::memcpy(out.data(), bytes, out.size() * sizeof(float));
        return out;
    }
    // That the step with rows of this seed has gone right: every norm is off by its roundings (a thread's one value, a tree of
    // 8 levels, root, quotient, two products), and a step's are a chain of so many, each no greater than what went before.
    void check(unsigned seed) { check(seed, read()); }
    static void check(unsigned seed, const std::optional<std::vector<float>>& got) {
        REQUIRE(got);
        const std::vector<double> wanted = expected(seed);
        const double limit = (2 * kLayers + 1) * 16 * 6e-8 * 8;
        size_t wrong = 0;
        for (size_t i = 0; i < wanted.size(); ++i) wrong += !(std::fabs((*got)[i] - wanted[i]) <= limit);
        CHECK(wrong == 0);
    }

  private:
    explicit VulkanChain(vulkan::VulkanDevice& device) : device_(&device) {}
    static constexpr float kEpsilon = 1e-6f;
    static float weight(int32_t i) { return 0.5f + static_cast<float>(i) / kWidth; }

    static std::vector<double> normed(const std::vector<double>& x, bool weighted) {
        std::vector<double> out(x.size());
        for (size_t row = 0; row < x.size(); row += kWidth) {
            double sum = 0;
            for (size_t i = row; i < row + kWidth; ++i) sum += x[i] * x[i];
            const double scale = 1 / std::sqrt(sum / kWidth + kEpsilon);
            for (size_t i = row; i < row + kWidth; ++i)
                out[i] = x[i] * scale * (weighted ? weight(static_cast<int32_t>(i - row)) : 1.0);
        }
        return out;
    }
    static std::vector<double> expected(unsigned seed) {
        const std::vector<float> given = rows(seed);
        std::vector<double> x(given.begin(), given.end());
        for (int32_t layer = 0; layer < kLayers; ++layer) {
            const auto y = normed(x, true), z = normed(x, false);
            for (size_t i = 0; i < x.size(); ++i) x[i] += y[i] + z[i];
        }
        return normed(x, true);
    }

    vulkan::VulkanDevice* device_;
    runtime::Buffer source_, x_, y_, z_, out_;
    runtime::Placed weight_;
};

inline Result<std::unique_ptr<vulkan::VulkanDevice>> open_device(const VulkanFaults& faults, vulkan::VulkanOptions options = {}) {
    options.self_test = false;
    return vulkan::VulkanDevice::create(faults.context, options);
}

inline std::unique_ptr<vulkan::VulkanDevice> make_device(const VulkanFaults& faults, const vulkan::VulkanOptions& options = {}) {
    auto made = open_device(faults, options);
    REQUIRE_MESSAGE(made, made.error().message);
    return std::move(*made);
}

}  // namespace lapidary::test
