// The one way from a buffer to its bytes, for those who work on the host's memory: the CPU device, the
// readers of files, and loaders and tools where they read what a file holds. The model itself never includes
// this: a view is the same thing on every device (scripts/check_layers.py).
#pragma once

#include "runtime/tensor.h"

namespace lapidary::runtime {

struct HostAccess {
    static std::byte* of(const BufferData& buffer) { return buffer.host_; }
};

// Null where the CPU cannot see the memory.
inline std::byte* host_bytes(const BufferData& buffer) { return HostAccess::of(buffer); }
inline std::byte* host_bytes(const TensorView& v) { return host_bytes(*v.buffer) + v.offset; }
inline float* host_floats(const TensorView& v, int64_t row = 0) {
    return reinterpret_cast<float*>(host_bytes(v) + row * v.row_bytes);
}

}  // namespace lapidary::runtime
