// Products of the CPU device: int8 images of the inputs, slices of weight rows, and panels.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>

#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

// Weight rows per claim: long enough to hide the claiming and, with many columns, the kernel's packing of its
// input; short enough that no thread waits for long.
int64_t rows_per_item(int64_t columns) { return columns > 16 ? 256 : 64; }
}  // namespace

CpuDevice::Quantised CpuDevice::quantise(const TensorView& x) {
    const int64_t blocks = x.cols / kernels::kActivationBlock;
    q8_.resize(static_cast<size_t>(x.rows * x.cols));
    q8_scales_.resize(static_cast<size_t>(x.rows * blocks));
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.quantize(x.f32(t), x.cols, q8_.data() + t * x.cols, q8_scales_.data() + t * blocks);
    });
    return {q8_.data(), q8_scales_.data()};
}

// Room for one PanelInput of any kind: int8 values, sums and scales, or bf16 rows.
std::byte* CpuDevice::reserve_panel_input(int64_t bytes) {
    if (!panel_input_ || panel_input_->bytes < static_cast<size_t>(bytes)) {
        auto buffer = allocate_host(static_cast<size_t>(bytes));
        if (!buffer) throw std::bad_alloc();  // as in reserve_scratch
        panel_input_ = std::move(*buffer);
    }
    return panel_input_->host;
}

kernels::PanelInput CpuDevice::quantise_for_panels(const TensorView& x) {
    kernels::PanelInput out;
    out.columns = x.rows;
    out.k = x.cols;
    out.q_stride = kernels::panel_q_stride(x.cols);
    const int64_t values = x.rows * out.q_stride, sums = x.rows * (x.cols / 16) * 2, offsets = x.rows * (x.cols / 32) * 4;
    const int64_t scales = x.rows * (x.cols / kernels::kActivationGroup) * 4;
    std::byte* at = reserve_panel_input(values + sums + offsets + scales);
    out.q = reinterpret_cast<int8_t*>(at);
    out.sums = reinterpret_cast<int16_t*>(at + values);
    out.offsets = reinterpret_cast<int32_t*>(at + values + sums);
    out.scales = reinterpret_cast<float*>(at + values + sums + offsets);
    pool_.run(x.rows, [&](int64_t t, int) { table_.quantize_panel(x.f32(t), t, out); });
    return out;
}

kernels::PanelInput CpuDevice::floats_for_panels(const TensorView& x, Format format) {
    kernels::PanelInput out;
    out.columns = x.rows;
    out.k = x.cols;
    out.x = x.f32();
    out.x_stride = x.row_bytes / static_cast<int64_t>(sizeof(float));
    if (format == Format::bf16 && table_.round_bf16) {
        out.x_stride = x.cols + 32;  // an odd number of cache lines where K is a multiple of 64
        auto* rounded = reinterpret_cast<uint16_t*>(reserve_panel_input(x.rows * out.x_stride * 2));
        pool_.run(x.rows, [&](int64_t t, int) { table_.round_bf16(x.f32(t), x.cols, rounded + t * out.x_stride); });
        out.xb = rounded;
    }
    return out;
}

void CpuDevice::row_slice(const MatmulPart& p, const TensorView& x, const Quantised& q8, int64_t begin, int64_t end,
                          int thread) {
    const bool int8_input = !precise_ && kernels::is_quantised(p.weights.format);
    kernels::MatmulArgs a;
    a.weights = p.weights.data();
    a.row_bytes = p.weights.row_bytes;
    a.k = x.cols;
    a.x = int8_input ? nullptr : x.f32();
    a.xq = int8_input ? q8.values : nullptr;
    a.x_scales = int8_input ? q8.scales : nullptr;
    a.x_stride = int8_input ? x.cols : x.row_bytes / static_cast<int64_t>(sizeof(float));
    a.columns = x.rows;
    a.bias = p.bias;
    a.y = p.out.f32();
    a.y_stride = p.out.row_bytes / static_cast<int64_t>(sizeof(float));
    a.row_begin = begin;
    a.row_end = end;
    a.scratch = scratch(thread);
    (int8_input ? table_.matmul_q8 : table_.matmul)[index(p.weights.format)](a);
}

void CpuDevice::panel_slice(const MatmulPart& p, const kernels::PanelInput& x, int64_t begin, int64_t end) {
    kernels::PanelMatmulArgs a;
    a.panels = p.weights.data();
    a.x = x;
    a.y = p.out.f32();
    a.y_stride = p.out.row_bytes / static_cast<int64_t>(sizeof(float));
    a.rows = p.weights.rows;
    a.panel_begin = begin / kernels::kPanel;
    a.panel_end = (end + kernels::kPanel - 1) / kernels::kPanel;
    table_.panel_matmul[index(p.weights.format)](a);
}

void CpuDevice::matmul(std::span<const MatmulPart> parts, const TensorView& x) {
    Quantised q8;
    kernels::PanelInput image, floats;
    for (const auto& p : parts) {
        if (p.weights.layout == Layout::panels) {
            const bool int8_input = kernels::is_quantised(p.weights.format);
            if (int8_input && !image.columns) image = quantise_for_panels(x);
            if (!int8_input && !floats.columns) floats = floats_for_panels(x, p.weights.format);
        } else if (!precise_ && !q8.values && kernels::is_quantised(p.weights.format)) {
            q8 = quantise(x);
        }
    }
    reserve_scratch(kernels::matmul_scratch_bytes(x.rows));

    const int64_t slice = rows_per_item(x.rows);
    std::vector<int64_t> first_item(parts.size() + 1, 0);  // items of part i: [first_item[i], first_item[i + 1])
    for (size_t i = 0; i < parts.size(); ++i) {
        const int64_t end = parts[i].row_end < 0 ? parts[i].weights.rows : parts[i].row_end;
        first_item[i + 1] = first_item[i] + (end - parts[i].row_begin + slice - 1) / slice;
    }
    pool_.run(first_item.back(), [&](int64_t item, int thread) {
        size_t i = 0;
        while (item >= first_item[i + 1]) ++i;
        const MatmulPart& p = parts[i];
        const int64_t begin = p.row_begin + (item - first_item[i]) * slice;
        const int64_t end = std::min(begin + slice, p.row_end < 0 ? p.weights.rows : p.row_end);
        if (p.weights.layout == Layout::panels)
            panel_slice(p, kernels::is_quantised(p.weights.format) ? image : floats, begin, end);
        else
            row_slice(p, x, q8, begin, end, thread);
    });
}

bool CpuDevice::can_pack(const TensorView& m) const {
    return !precise_ && m.layout == Layout::rows && table_.panel_matmul[index(m.format)] &&
           m.cols % kernels::panel_k_multiple(m.format) == 0;
}

Result<Packed> CpuDevice::pack(const TensorView& m) {
    const int64_t panels = (m.rows + kernels::kPanel - 1) / kernels::kPanel;
    const int64_t bytes = kernels::panel_bytes(m.format, m.cols);
    LAP_ASSIGN(Buffer buffer, allocate_host(static_cast<size_t>(panels * bytes)));
    const auto pack_panel = table_.pack_panel[index(m.format)];
    pool_.run(panels, [&](int64_t p, int) {
        const int64_t row = p * kernels::kPanel;
        pack_panel(m.data() + row * m.row_bytes, m.row_bytes, m.cols, std::min(kernels::kPanel, m.rows - row),
                   buffer->host + p * bytes);
    });
    TensorView out = m;
    out.buffer = buffer.get();
    out.offset = 0;
    out.row_bytes = bytes / kernels::kPanel;
    out.layout = Layout::panels;
    return Packed{std::move(buffer), out};
}

double CpuDevice::read_bandwidth(const BufferData& buffer) {
    constexpr int64_t kPiece = 1 << 20;
    std::atomic<uint64_t> checksum{0};  // keeps the reads from being optimised away
    const auto start = std::chrono::steady_clock::now();
    const int64_t pieces = static_cast<int64_t>(buffer.bytes) / kPiece;
    pool_.run(pieces, [&](int64_t piece, int) {
        const auto* words = reinterpret_cast<const uint64_t*>(buffer.host + piece * kPiece);
        uint64_t sums[8] = {};  // eight chains, so that loads and not additions are the limit
        for (int64_t i = 0; i < kPiece / 8; i += 8)
            for (int64_t j = 0; j < 8; ++j) sums[j] ^= words[i + j];
        uint64_t all = 0;
        for (const uint64_t s : sums) all ^= s;
        checksum.fetch_xor(all, std::memory_order_relaxed);
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return static_cast<double>(pieces * kPiece) / took.count() / 1e9;
}

}  // namespace lapidary::runtime
