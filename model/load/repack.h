// Rearranges matrices for this machine: rows into the panels that its kernels multiply fastest, and panels of
// a packed file into rows where a level or --precise wants those. Tensor by tensor: the pages of a mapped
// source are given back at once, so that both never stand in memory together. Bits of the weights are kept.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "lapidary/result.h"
#include "model/weights.h"
#include "runtime/cpu/cpu_device.h"

namespace lapidary::model {

// The embedding and the layer matrices. `progress` counts source bytes of what moves; false stops with
// `cancelled`.
Result<void> repack(Weights& weights, runtime::CpuDevice& device,
                    const std::function<bool(uint64_t done, uint64_t total)>& progress);

// One matrix, if it must move: its new memory joins `buffers`.
Result<void> arrange(TensorView& matrix, runtime::CpuDevice& device, std::vector<runtime::Buffer>& buffers,
                     const runtime::ByteSink& progress = {});

std::array<TensorView*, 7> matrices_of(LayerWeights& layer);  // v may be empty

}  // namespace lapidary::model
