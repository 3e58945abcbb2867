// What the processor could do at this moment: bytes read and int8 multiply-adds per second, by all its threads together.
// The bench measures both between its repetitions.
#pragma once

#include "runtime/cpu/cpu.h"
#include "runtime/device.h"

namespace lapidary::runtime {

class CpuProbe final : public MachineProbe {
  public:
    explicit CpuProbe(Cpu& cpu) : cpu_(cpu) {}

    double read_bandwidth(const Buffer& buffer, double seconds) override;
    double int8_peak(double seconds) override;
    const char* peak_instruction() const override { return cpu_.table.peak(0).instruction; }

  private:
    Cpu& cpu_;
};

}  // namespace lapidary::runtime
