// Rearranges matrices into the panels that this machine's kernels multiply fastest. Tensor by tensor: the
// pages of a mapped source are given back as soon as its panels are made, so that both never stand in
// memory together. Bits of the weights are kept; only their order changes.
#pragma once

#include <functional>

#include "lapidary/result.h"
#include "model/weights.h"
#include "runtime/cpu/cpu_device.h"

namespace lapidary::model {

// The embedding and the layer matrices whose format has panels at the device's level. `progress` counts source bytes; false stops
// with `cancelled`.
Result<void> repack(Weights& weights, runtime::CpuDevice& device,
                    const std::function<bool(uint64_t done, uint64_t total)>& progress);

}  // namespace lapidary::model
