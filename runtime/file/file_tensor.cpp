// Sizes and lookups; see file_tensor.h.
#include "runtime/file/file_tensor.h"

#include "kernels/panels.h"

namespace lapidary::runtime {

int64_t FileTensor::rows() const {
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < shape.size(); i++) rows *= shape[i];
    return rows;
}

uint64_t FileTensor::bytes_as(Format f, Layout l) const {
    if (l == Layout::rows) return static_cast<uint64_t>(rows() * kernels::row_bytes(f, cols()));
    const int64_t panels = (rows() + kernels::kPanel - 1) / kernels::kPanel;
    return static_cast<uint64_t>(panels * kernels::panel_bytes(f, cols()));
}

bool FileTensor::can_lie_in_panels(Format f) const {
    return shape.size() == 2 && kernels::has_panels(f) && cols() % kernels::panel_k_multiple(f) == 0;
}

const FileTensor* FileTensors::find_tensor(std::string_view name) const {
    for (const FileTensor& tensor : tensors)
        if (tensor.name == name) return &tensor;
    return nullptr;
}

}  // namespace lapidary::runtime
