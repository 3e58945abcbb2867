// Operations as parallel loops over kernels. How the work is cut never changes a result: kernels promise
// the same bits for any slice. Products are in cpu_matmul.cpp, the cache and attention in cpu_attention.cpp.
#include "runtime/cpu/cpu_device.h"

#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/trace/recorder.h"

namespace lapidary::runtime {
namespace {

// Values per claim of cheap element-wise work.
constexpr int64_t kValuesPerItem = 16384;

}  // namespace

CpuDevice::CpuDevice(const kernels::KernelTable& table, int threads, bool precise, PhaseThreads phases)
    : cpu_(table, threads, precise, phases) {
    scratch_.threads.resize(static_cast<size_t>(pool_.size()));
}

Result<Buffer> CpuDevice::allocate(size_t bytes, MemoryKind) { return allocate_host(bytes); }

Result<Recording> CpuDevice::begin(const StepKey& key, const StepWatch& watch) {
    const size_t bytes = StepInputs::bytes(key.shape);
    if (!block_ || block_->bytes < bytes) {
        LAP_ASSIGN(block_, allocate_host(bytes));
    }
    LAP_TRY(scratch_.reserve(key.shape));
    cpu_.use(key.shape.columns);
    inputs_ = StepInputs(host_bytes(*block_), key.shape);
    columns_ = key.shape.columns;
    watch_ = watch;
    stopped_ = false;
    return Recording{inputs_, false};
}

Result<void> CpuDevice::wait(Ticket) {
    watch_ = {};
    if (stopped_) return Error{Errc::cancelled, "stopped on request"};
    return {};
}

const std::byte* CpuDevice::read(const TensorView& from) { return host_bytes(from); }

void CpuDevice::observe(Recorder* recorder) {
    recorder_ = recorder;
    pool_.observe(recorder);
}

bool CpuDevice::layer(const char* kind, int32_t number) {
    if (recorder_) recorder_->layer(kind, number);
    if (number >= 0 && !stopped_ && watch_) stopped_ = !watch_(number);
    return !stopped_;
}

Result<void> CpuDevice::fill(const Buffer& buffer, uint32_t word) {
    std::fill_n(reinterpret_cast<uint32_t*>(host_bytes(*buffer)), buffer->bytes / sizeof word, word);
    return {};
}

Result<void> CpuDevice::download(const Buffer& from, size_t offset, std::span<std::byte> to) {
    std::memcpy(to.data(), host_bytes(*from) + offset, to.size());
    return {};
}

Result<void> CpuDevice::upload(std::span<const std::byte> from, const Buffer& to, size_t offset) {
    std::memcpy(host_bytes(*to) + offset, from.data(), from.size());
    return {};
}

Result<void> CpuDevice::copy(const Buffer& from, size_t from_offset, const Buffer& to, size_t to_offset,
                             size_t bytes) {
    constexpr size_t kPiece = size_t{1} << 20;
    pool_.run(static_cast<int64_t>((bytes + kPiece - 1) / kPiece), [&](int64_t item, int) {
        const size_t at = static_cast<size_t>(item) * kPiece;
        std::memcpy(host_bytes(*to) + to_offset + at, host_bytes(*from) + from_offset + at,
                    std::min(kPiece, bytes - at));
    });
    return {};
}

void CpuDevice::embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) {
    const Recorded op(recorder_, "embed", [&] { return embed_cost(table, out.rows); });
    const int32_t* ids = entry == Entry::ids ? inputs_.ids() : inputs_.second_ids();
    const auto expand = table_.expand[index(table.format)];
    const auto unpack = table_.unpack_panel_row[index(table.format)];
    pool_.run(out.rows, [&](int64_t t, int thread) {
        const int32_t id = ids[t];
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

void CpuDevice::input_rows(Rows which, const TensorView& out, int64_t from) {
    const Recorded op(recorder_, "input_rows", [&] { return move_cost(out, 2); });
    for (int64_t t = 0; t < out.rows; ++t)
        if (which == Rows::all || inputs_.ids()[t] < 0)
            std::memcpy(host_floats(out, t), inputs_.rows() + t * inputs_.row_width() + from,
                        static_cast<size_t>(out.cols) * sizeof(float));
}

void CpuDevice::rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) {
    const Recorded op(recorder_, "rms_norm", [&] { return move_cost(x, 2); });
    const float* weight = w ? host_floats(w) : nullptr;
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.rms_norm(host_floats(x, t), weight, x.cols, eps, host_floats(out, t));
    });
}

void CpuDevice::layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                           const TensorView& out) {
    const Recorded op(recorder_, "layer_norm", [&] { return move_cost(x, 2); });
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.layer_norm(host_floats(x, t), host_floats(w), host_floats(b), x.cols, eps,
                          host_floats(out, t));
    });
}

void CpuDevice::add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps,
                         float scale) {
    const Recorded op(recorder_, "add_norm", [&] { return move_cost(x, 3); });
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.add_norm(host_floats(x, t), host_floats(y, t), host_floats(w), x.cols, eps, scale);
    });
}

void CpuDevice::add(const TensorView& x, const TensorView& y) {
    const Recorded op(recorder_, "add", [&] { return move_cost(x, 3); });
    pool_.run(x.rows,
              [&](int64_t t, int) { table_.scale_add(host_floats(x, t), 1.0f, host_floats(y, t), x.cols); });
}

void CpuDevice::soft_cap(const TensorView& x, float cap) {
    const Recorded op(recorder_, "soft_cap", [&] { return move_cost(x, 2); });
    const int64_t slices = (x.cols + kValuesPerItem - 1) / kValuesPerItem;
    pool_.run(x.rows * slices, [&](int64_t item, int) {
        const int64_t begin = item % slices * kValuesPerItem;
        table_.soft_cap(host_floats(x, item / slices) + begin, std::min(kValuesPerItem, x.cols - begin), cap);
    });
}

}  // namespace lapidary::runtime
