// Owned memory for the small tensors that are converted at load, and for rare matrices that a file does not
// align. Pieces are 64-byte aligned and come out of chunks, so that hundreds of norms cost few allocations.
#pragma once

#include <vector>

#include "runtime/tensor.h"

namespace lapidary::model {

class FloatStore {
  public:
    // New chunks are appended to `buffers`, which must outlive this; the views die with it.
    explicit FloatStore(std::vector<runtime::Buffer>& buffers) : buffers_(buffers) {}

    runtime::TensorView allocate(int64_t rows, int64_t cols);  // f32, uninitialised
    runtime::TensorView copy(runtime::Format format, int64_t rows, int64_t cols, const std::byte* from);

  private:
    runtime::TensorView reserve(runtime::Format format, int64_t rows, int64_t cols);

    std::vector<runtime::Buffer>& buffers_;
    runtime::Buffer chunk_;
    size_t used_ = 0;
};

}  // namespace lapidary::model
