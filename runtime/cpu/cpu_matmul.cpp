// Products of the CPU device: int8 images of the inputs, slices of weight rows, and panels.
#include <algorithm>
#include <array>
#include <new>

#include "base/try.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

// Weight rows per claim: long enough to hide the claiming and, with many columns, the kernel's packing of its
// input; short enough that no thread waits for long.
int64_t rows_per_item(int64_t columns) { return columns > 16 ? 256 : 64; }

// A matrix moves in slices of this size: some milliseconds, after which a user may stop it.
constexpr int64_t kBytesPerReport = 8 << 20;

int64_t panels_of(const TensorView& m) { return (m.rows + kernels::kPanel - 1) / kernels::kPanel; }
}  // namespace

unsigned CpuDevice::need(const TensorView& w) const {
    const bool quantised = kernels::is_quantised(w.format);
    if (w.layout == Layout::rows) return quantised && !precise_ ? kRowImage : kNothing;
    if (quantised) return kPanelImage;
    return w.format == Format::bf16 && table_.round_bf16 ? kPanelBf16 : kPanelFloats;
}

// Operations have no way to fail: a refused mapping is thrown as operator new would, and becomes an error where
// the session computes.
kernels::PanelInput CpuDevice::reserve_image(const TensorView& x) {
    kernels::PanelInput out;
    out.columns = x.rows;
    out.k = x.cols;
    out.q_stride = kernels::panel_q_stride(x.cols);
    const int64_t values = x.rows * out.q_stride, sums = x.rows * (x.cols / 16) * 2, offsets = x.rows * (x.cols / 32) * 4;
    const int64_t eighths = x.rows * (x.cols / 8) * 4, scales = x.rows * (x.cols / kernels::kActivationGroup) * 4;
    const int64_t bytes = values + sums + offsets + eighths + scales;
    if (!panel_input_ || panel_input_->bytes < static_cast<size_t>(bytes)) {
        auto buffer = allocate_host(static_cast<size_t>(bytes));
        if (!buffer) throw std::bad_alloc();
        panel_input_ = std::move(*buffer);
    }
    std::byte* at = host_bytes(*panel_input_);
    out.q = reinterpret_cast<int8_t*>(at);
    out.sums = reinterpret_cast<int16_t*>(at + values);
    out.offsets = reinterpret_cast<int32_t*>(at + values + sums);
    out.eighths = reinterpret_cast<int32_t*>(at + values + sums + offsets);
    out.scales = reinterpret_cast<float*>(at + values + sums + offsets + eighths);
    return out;
}

// One phase: a thread norms a row and turns it, still in its cache, into what the products want.
CpuDevice::Input CpuDevice::prepare(const MatmulInput& in, unsigned needs) {
    const TensorView& x = in.norm ? in.normed : in.x;
    const int64_t blocks = x.cols / kernels::kActivationBlock;
    Input out;
    out.rows = x;
    out.floats.columns = x.rows;
    out.floats.k = x.cols;
    out.floats.x = host_floats(x);
    out.floats.x_stride = x.row_bytes / static_cast<int64_t>(sizeof(float));
    if (needs & kPanelImage) out.image = reserve_image(x);
    if (needs & kRowImage) {
        q8_.resize(static_cast<size_t>(x.rows * x.cols));
        q8_scales_.resize(static_cast<size_t>(x.rows * blocks));
        out.q8 = q8_.data();
        out.q8_scales = q8_scales_.data();
    }
    if (needs & kPanelBf16) {
        out.floats.x_stride = x.cols + 32;  // an odd number of cache lines where K is a multiple of 64
        bf16_.resize(static_cast<size_t>(x.rows * out.floats.x_stride));
        out.floats.xb = bf16_.data();
    }
    if (!in.norm && !(needs & (kPanelImage | kRowImage | kPanelBf16))) return out;
    pool_.run(x.rows, [&](int64_t t, int) {
        if (in.norm)
            table_.rms_norm(host_floats(in.x, t), host_floats(in.norm), x.cols, in.eps, host_floats(x, t));
        if (needs & kPanelImage) table_.quantize_panel(host_floats(x, t), t, out.image);
        if (needs & kRowImage)
            table_.quantize(host_floats(x, t), x.cols, q8_.data() + t * x.cols,
                            q8_scales_.data() + t * blocks);
        if (needs & kPanelBf16)
            table_.round_bf16(host_floats(x, t), x.cols, bf16_.data() + t * out.floats.x_stride);
    });
    return out;
}

void CpuDevice::multiply_rows(const TensorView& w, const float* bias, const Input& in, const TensorView& out,
                              int64_t begin, int64_t end, int thread) {
    const bool int8_input = need(w) == kRowImage;
    kernels::MatmulArgs a;
    a.weights = host_bytes(w);
    a.row_bytes = w.row_bytes;
    a.k = in.rows.cols;
    a.x = int8_input ? nullptr : host_floats(in.rows);
    a.xq = int8_input ? in.q8 : nullptr;
    a.x_scales = int8_input ? in.q8_scales : nullptr;
    a.x_stride = int8_input ? in.rows.cols : in.rows.row_bytes / static_cast<int64_t>(sizeof(float));
    a.columns = in.rows.rows;
    a.bias = bias;
    a.y = host_floats(out);
    a.y_stride = out.row_bytes / static_cast<int64_t>(sizeof(float));
    a.row_begin = begin;
    a.row_end = end;
    a.scratch = scratch(thread);
    (int8_input ? table_.matmul_q8 : table_.matmul)[index(w.format)](a);
}

void CpuDevice::multiply_panels(const TensorView& w, const Input& in, const TensorView& out, int64_t begin,
                                int64_t end) {
    kernels::PanelMatmulArgs a;
    a.panels = host_bytes(w);
    a.x = kernels::is_quantised(w.format) ? in.image : in.floats;
    a.y = host_floats(out);
    a.y_stride = out.row_bytes / static_cast<int64_t>(sizeof(float));
    a.rows = w.rows;
    a.panel_begin = begin / kernels::kPanel;
    a.panel_end = (end + kernels::kPanel - 1) / kernels::kPanel;
    const auto& kernels = a.x.columns <= kernels::kFewColumns ? table_.panel_matmul_few : table_.panel_matmul;
    kernels[index(w.format)](a);
}

void CpuDevice::multiply(const TensorView& w, const float* bias, const Input& in, const TensorView& out, int64_t begin,
                         int64_t end, int thread) {
    if (w.layout == Layout::panels)
        multiply_panels(w, in, out, begin, end);
    else
        multiply_rows(w, bias, in, out, begin, end, thread);
}

void CpuDevice::matmul(std::span<const MatmulPart> parts, const MatmulInput& in) {
    unsigned needs = kNothing;
    for (const MatmulPart& p : parts) needs |= need(p.weights);
    const Input input = prepare(in, needs);
    reserve_scratch(kernels::matmul_scratch_bytes(in.x.rows));

    const int64_t slice = rows_per_item(in.x.rows);
    std::array<int64_t, kMaxParts + 1> first_item{};  // items of part i: [first_item[i], first_item[i + 1])
    for (size_t i = 0; i < parts.size(); ++i) {
        const int64_t end = parts[i].row_end < 0 ? parts[i].weights.rows : parts[i].row_end;
        first_item[i + 1] = first_item[i] + (end - parts[i].row_begin + slice - 1) / slice;
    }
    pool_.run(first_item[parts.size()], [&](int64_t item, int thread) {
        size_t i = 0;
        while (item >= first_item[i + 1]) ++i;
        const MatmulPart& p = parts[i];
        const int64_t begin = p.row_begin + (item - first_item[i]) * slice;
        const int64_t end = std::min(begin + slice, p.row_end < 0 ? p.weights.rows : p.row_end);
        multiply(p.weights, p.bias, input, p.out, begin, end, thread);
    });
}

// The thread that has both products of some rows also gates them.
void CpuDevice::gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                             const TensorView& scratch, const TensorView& out) {
    const Input input = prepare(in, need(gate) | need(up));
    reserve_scratch(kernels::matmul_scratch_bytes(in.x.rows));
    const int64_t slice = rows_per_item(in.x.rows);
    pool_.run((gate.rows + slice - 1) / slice, [&](int64_t item, int thread) {
        const int64_t begin = item * slice, end = std::min(begin + slice, gate.rows);
        multiply(gate, nullptr, input, out, begin, end, thread);
        multiply(up, nullptr, input, scratch, begin, end, thread);
        for (int64_t t = 0; t < in.x.rows; ++t)
            table_.geglu(host_floats(out, t) + begin, host_floats(scratch, t) + begin, end - begin,
                         host_floats(out, t) + begin);
    });
}

bool CpuDevice::can_pack(const TensorView& m) const {
    return !precise_ && m.layout == Layout::rows && table_.panel_matmul[index(m.format)] &&
           m.cols % kernels::panel_k_multiple(m.format) == 0;
}

Result<void> CpuDevice::move_panels(const TensorView& m, const ByteSink& progress,
                                    const std::function<void(int64_t panel)>& move) {
    const int64_t panels = panels_of(m), bytes = m.bytes();
    const int64_t slice = std::max<int64_t>(1, panels * kBytesPerReport / std::max<int64_t>(1, bytes));
    for (int64_t first = 0; first < panels; first += slice) {
        const int64_t count = std::min(slice, panels - first);
        pool_.run(count, [&](int64_t p, int) { move(first + p); });
        if (progress && !progress(bytes * (first + count) / panels))
            return Error{Errc::cancelled, "rearranging the weights was stopped"};
    }
    return {};
}

Result<Packed> CpuDevice::pack(const TensorView& m, const ByteSink& progress) {
    const int64_t panels = panels_of(m);
    const int64_t bytes = kernels::panel_bytes(m.format, m.cols);
    LAP_ASSIGN(Buffer buffer, allocate_host(static_cast<size_t>(panels * bytes)));
    const auto pack_panel = table_.pack_panel[index(m.format)];
    LAP_TRY(move_panels(m, progress, [&](int64_t p) {
        const int64_t row = p * kernels::kPanel;
        pack_panel(host_bytes(m) + row * m.row_bytes, m.row_bytes, m.cols,
                   std::min(kernels::kPanel, m.rows - row), host_bytes(*buffer) + p * bytes);
    }));
    TensorView out = m;
    out.buffer = buffer.get();
    out.offset = 0;
    out.row_bytes = bytes / kernels::kPanel;
    out.layout = Layout::panels;
    return Packed{std::move(buffer), out};
}

bool CpuDevice::must_unpack(const TensorView& m) const {
    return m.layout == Layout::panels && (precise_ || !table_.panel_matmul[index(m.format)]);
}

Result<Packed> CpuDevice::unpack(const TensorView& m, const ByteSink& progress) {
    const int64_t row_bytes = kernels::row_bytes(m.format, m.cols);
    LAP_ASSIGN(Buffer buffer, allocate_host(static_cast<size_t>(m.rows * row_bytes)));
    const auto unpack_row = table_.unpack_panel_row[index(m.format)];
    LAP_TRY(move_panels(m, progress, [&](int64_t p) {
        const int64_t begin = p * kernels::kPanel, end = std::min(begin + kernels::kPanel, m.rows);
        for (int64_t row = begin; row < end; ++row)
            unpack_row(host_bytes(m) + begin * m.row_bytes, m.cols, row - begin,
                       host_bytes(*buffer) + row * row_bytes);
    }));
    const TensorView rows = view(buffer, m.format, m.rows, m.cols);
    return Packed{std::move(buffer), rows};
}

}  // namespace lapidary::runtime
