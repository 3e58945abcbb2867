// Sizes of the scratch memory that callers bring, per thread.
#include <algorithm>

#include "kernels/kernels.h"
#include "kernels/kv_rows.h"
#include "kernels/tiles.h"

namespace lapidary::kernels {

// The same for any number of columns, since they are taken in blocks.
int64_t matmul_scratch_bytes() { return kMatmulScratchFloats * static_cast<int64_t>(sizeof(float)); }

int64_t attention_scratch_bytes(int64_t dim, int64_t rows) {
    return attention_scratch(nullptr, dim, rows).floats * static_cast<int64_t>(sizeof(float));
}
int64_t attention_partial_bytes(int64_t dim, int64_t rows) {
    return attention_partial_floats(dim, rows) * static_cast<int64_t>(sizeof(float));
}

int64_t scratch_bytes(int64_t dim, int64_t rows) {
    int64_t most = 0;
#define LAP_OPERATION(op, type, bits, multiple, scratch) most = std::max<int64_t>(most, scratch);
#include "kernels/operations.inc"
#undef LAP_OPERATION
    return most;
}

}  // namespace lapidary::kernels
