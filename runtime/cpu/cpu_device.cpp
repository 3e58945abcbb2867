// Operations as parallel loops over kernels. How the work is cut never changes a result: kernels promise
// the same bits for any slice. Products are in cpu_matmul.cpp, the cache and attention in cpu_attention.cpp.
#include "runtime/cpu/cpu_device.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

// Values per claim of cheap element-wise work.
constexpr int64_t kValuesPerItem = 16384;

}  // namespace

CpuDevice::CpuDevice(const kernels::KernelTable& table, int threads, bool precise, PhaseThreads phases)
    : table_(table), precise_(precise), phases_(phases), pool_(threads) {
    scratch_.resize(static_cast<size_t>(pool_.size()));
}

Result<Buffer> CpuDevice::allocate(size_t bytes) { return allocate_host(bytes); }

void CpuDevice::begin(const StepShape& shape, const StepParams& params) {
    params_ = &params;
    const int threads = shape.columns <= kDecodeColumns ? phases_.decode : phases_.prefill;
    pool_.use(threads > 0 ? threads : pool_.size());
}

void CpuDevice::write(const TensorView& to, const float* values) {
    for (int64_t r = 0; r < to.rows; ++r)
        std::memcpy(host_floats(to, r), values + r * to.cols, static_cast<size_t>(to.cols) * sizeof(float));
}

void CpuDevice::reserve(Buffer& buffer, int64_t bytes) {
    if (buffer && buffer->bytes >= static_cast<size_t>(bytes)) return;
    // Operations have no way to fail: a refused mapping is thrown as operator new would, and becomes an
    // error where the session computes.
    auto larger = allocate_host(static_cast<size_t>(bytes));
    if (!larger) throw std::bad_alloc();
    buffer = std::move(*larger);
}

void CpuDevice::reserve_scratch(int64_t bytes) {
    for (Buffer& buffer : scratch_) reserve(buffer, bytes);
}

void CpuDevice::embed_rows(const TensorView& table, float scale, const TensorView& out) {
    const auto expand = table_.expand[index(table.format)];
    const auto unpack = table_.unpack_panel_row[index(table.format)];
    const int64_t blocks_bytes = kernels::row_bytes(table.format, table.cols);
    if (table.layout == Layout::panels) reserve_scratch(blocks_bytes);
    pool_.run(out.rows, [&](int64_t t, int thread) {
        const int32_t id = params_->ids[t];
        if (id < 0) return;
        const std::byte* blocks = host_bytes(table) + id * table.row_bytes;
        if (table.layout == Layout::panels) {
            const int64_t panel = id / kernels::kPanel;
            blocks = scratch(thread);
            unpack(host_bytes(table) + panel * kernels::panel_bytes(table.format, table.cols), table.cols,
                   id % kernels::kPanel, scratch(thread));
        }
        expand(blocks, table.cols, host_floats(out, t));
        table_.scale_add(host_floats(out, t), scale, nullptr, out.cols);
    });
}

void CpuDevice::rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) {
    const float* weight = w ? host_floats(w) : nullptr;
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.rms_norm(host_floats(x, t), weight, x.cols, eps, host_floats(out, t));
    });
}

void CpuDevice::layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                           const TensorView& out) {
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.layer_norm(host_floats(x, t), host_floats(w), host_floats(b), x.cols, eps,
                          host_floats(out, t));
    });
}

void CpuDevice::add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) {
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.add_norm(host_floats(x, t), host_floats(y, t), host_floats(w), x.cols, eps, scale);
    });
}

void CpuDevice::add(const TensorView& x, const TensorView& y) {
    pool_.run(x.rows,
              [&](int64_t t, int) { table_.scale_add(host_floats(x, t), 1.0f, host_floats(y, t), x.cols); });
}

void CpuDevice::soft_cap(const TensorView& x, float cap) {
    const int64_t slices = (x.cols + kValuesPerItem - 1) / kValuesPerItem;
    pool_.run(x.rows * slices, [&](int64_t item, int) {
        const int64_t begin = item % slices * kValuesPerItem;
        table_.soft_cap(host_floats(x, item / slices) + begin, std::min(kValuesPerItem, x.cols - begin), cap);
    });
}

}  // namespace lapidary::runtime
