// Where weights lie for the CPU: as rows, in their file if they come from one, or in the panels that its kernels
// multiply fastest. Bits of the weights are kept.
#pragma once

#include "runtime/cpu/cpu.h"
#include "runtime/device.h"

namespace lapidary::runtime {

class CpuWeights {
  public:
    explicit CpuWeights(Cpu& cpu) : cpu_(cpu) {}

    // As Device::place, moves, kernels_of.
    Result<Placed> place(const TensorView& host, Use use, const ByteSink& progress);
    bool moves(const TensorView& host, Use use) const;
    KernelChoice kernels_of(const TensorView& host, Use use) const;

  private:
    bool can_pack(const TensorView& matrix) const;     // rows that this level multiplies faster in panels
    bool must_unpack(const TensorView& matrix) const;  // panels that this level or mode cannot multiply
    Result<Placed> pack(const TensorView& matrix, const ByteSink& progress);
    Result<Placed> unpack(const TensorView& matrix, const ByteSink& progress);
    // Runs `move` for every panel of the matrix.
    Result<void> move_panels(const TensorView& matrix, const ByteSink& progress,
                             const std::function<void(int64_t panel)>& move);

    Cpu& cpu_;
};

}  // namespace lapidary::runtime
