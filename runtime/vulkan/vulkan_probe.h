// How fast a device reads and multiplies just now. Between steps only.
#pragma once

#include "runtime/device.h"
#include "runtime/vulkan/commands.h"
#include "runtime/vulkan/verdicts.h"

namespace lapidary::runtime::vulkan {

class VulkanProbe final : public MachineProbe {
  public:
    // `verdicts`, borrowed: where matrices are announced before they run; null: nowhere.
    VulkanProbe(Queue& queue, Pipelines& pipelines, Verdicts* verdicts)
        : queue_(queue), pipelines_(pipelines), verdicts_(verdicts) {}
    double read_bandwidth(const Buffer& buffer, double seconds) override;  // 0 where the device fails
    double int8_peak(double seconds) override;                             // 0 without packed dot products
    const char* peak_instruction() const override;
    MatrixPeak matrix_peak(double seconds) override;  // of the device's largest cooperative matrices, int8 or f16

  private:
    // Runs the dispatch again and again for about so many seconds; runs per second, 0 where it fails.
    double rate(const Dispatch& dispatch, double seconds);
    bool reserve();

    Queue& queue_;
    Pipelines& pipelines_;
    Verdicts* verdicts_;
    std::shared_ptr<VulkanBuffer> sums_;
};

}  // namespace lapidary::runtime::vulkan
