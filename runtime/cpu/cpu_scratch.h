// Memory that operations of the CPU work in, reserved before a step. Pages are taken only when touched, so every part
// is sized for whatever the step might need.
#pragma once

#include <cstdint>
#include <vector>

#include "lapidary/result.h"
#include "runtime/step_inputs.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

struct CpuScratch {
    static constexpr int64_t kPartialBytes = int64_t{64} << 20;

    std::vector<Buffer> threads;    // one per thread: of kernels, one row of weights
    Buffer image;                   // the int8 image of one PanelInput [T, K]
    Buffer q8, q8_scales, bf16;     // int8 rows, their scales, rounded rows of one input
    Buffer partials;                // kPartialBytes: of attention split over blocks, of top_k split over slices

    Result<void> reserve(const StepShape& shape);
};

// Bytes of the arrays of a PanelInput, in this order.
struct ImageBytes {
    int64_t values, sums, offsets, eighths, scales;
    ImageBytes(int64_t columns, int64_t k);
    int64_t all() const { return values + sums + offsets + eighths + scales; }
};

}  // namespace lapidary::runtime
