// Anonymous, zeroed, page-aligned host memory. Pages are taken only when touched.
#pragma once

#include "lapidary/result.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

// out_of_memory names the size when the system refuses.
Result<Buffer> allocate_host(size_t bytes);

// Drops the whole pages inside a mapping; what a private anonymous page held is lost, a file's page is read
// again when it is touched.
void give_back_pages(std::byte* at, size_t bytes);

}  // namespace lapidary::runtime
