// Chunked memory; see float_store.h.
#include "model/load/float_store.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/memory/host_access.h"

namespace lapidary::model {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kAlignment = 64;

struct Chunk final : runtime::BufferData {
    explicit Chunk(size_t size) {
        host_ = static_cast<std::byte*>(::operator new (size, std::align_val_t{kAlignment}));
        bytes = size;
    }
    ~Chunk() override { ::operator delete (host_, std::align_val_t{kAlignment}); }
};

}  // namespace

runtime::TensorView FloatStore::reserve(runtime::Format format, int64_t rows, int64_t cols) {
    const auto bytes = static_cast<size_t>(rows * kernels::row_bytes(format, cols));
    const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (!chunk_ || rounded > chunk_->bytes - used_) {
        chunk_ = std::make_shared<Chunk>(std::max(rounded, kChunkBytes));
        buffers_.push_back(chunk_);
        used_ = 0;
    }
    const auto out = runtime::view(chunk_, format, rows, cols, used_);
    used_ += rounded;
    return out;
}

runtime::TensorView FloatStore::allocate(int64_t rows, int64_t cols) {
    return reserve(runtime::Format::f32, rows, cols);
}

runtime::TensorView FloatStore::copy(runtime::Format format, int64_t rows, int64_t cols,
                                     const std::byte* from) {
    const auto out = reserve(format, rows, cols);
    std::memcpy(host_bytes(out), from, static_cast<size_t>(out.bytes()));
    return out;
}

}  // namespace lapidary::model
