// Sizes of the scratch memory that callers bring, per thread.
#include "kernels/kernels.h"
#include "kernels/kv_rows.h"
#include "kernels/tiles.h"

namespace lapidary::kernels {

// The same for any number of columns, since they are taken in blocks.
int64_t matmul_scratch_bytes(int64_t) { return kMatmulScratchFloats * static_cast<int64_t>(sizeof(float)); }

int64_t attention_scratch_bytes(int64_t dim, int64_t heads) {
    return attention_scratch_floats(dim, heads) * static_cast<int64_t>(sizeof(float));
}

}  // namespace lapidary::kernels
