// Two networks over one text, layer by layer: each matrix is mapped, arranged for the machine, used for the
// whole text and given back, so that models of any size are compared in little memory. For `pack --kld`;
// whole models that fit are quality.cpp's business.
#pragma once

#include <functional>
#include <span>

#include "lapidary/result.h"
#include "lapidary/tools.h"
#include "model/load/loader.h"
#include "runtime/device.h"

namespace lapidary::model {

// KL(base || other) at every position of `ids`, one chunk. Both models have one vocabulary size. `progress`
// counts bytes of weights; false stops with `cancelled`. The device must read mapped sources in place (the CPU).
Result<Divergence> layerwise_divergence(const LoadedModel& base, const LoadedModel& other,
                                        std::span<const int32_t> ids, runtime::Device& device,
                                        const std::function<bool(uint64_t done, uint64_t total)>& progress);

}  // namespace lapidary::model
