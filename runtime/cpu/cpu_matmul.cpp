// Products of the CPU device: int8 images of the inputs, slices of weight rows, and panels.
#include <algorithm>
#include <array>

#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "runtime/trace/recorder.h"

namespace lapidary::runtime {
namespace {

// Weight rows per claim: long enough to hide the claiming and, with many columns, the kernel's packing of its
// input; short enough that no thread waits for long.
int64_t rows_per_item(int64_t columns) { return columns > 16 ? 256 : 64; }

// "norm+matmul k+v+q"
std::string product_name(std::span<const MatmulPart> parts, const MatmulInput& in) {
    std::string name = in.norm ? "norm+matmul" : "matmul";
    for (const MatmulPart& p : parts)
        if (*p.name) name.append(&p == parts.data() ? " " : "+").append(p.name);
    return name;
}

}  // namespace

unsigned CpuDevice::need(const TensorView& w) const {
    const bool quantised = kernels::is_quantised(w.format);
    if (w.layout == Layout::rows) return quantised && !cpu_.precise ? kRowImage : kNothing;
    if (quantised) return kPanelImage;
    return w.format == Format::bf16 && table_.round_bf16 ? kPanelBf16 : kPanelFloats;
}

kernels::PanelInput CpuDevice::image_of(const TensorView& x) {
    const ImageBytes bytes(x.rows, x.cols);
    kernels::PanelInput out;
    out.columns = x.rows;
    out.k = x.cols;
    out.q_stride = kernels::panel_q_stride(x.cols);
    std::byte* at = host_bytes(*scratch_.image);
    out.q = reinterpret_cast<int8_t*>(at);
    out.sums = reinterpret_cast<int16_t*>(at += bytes.values);
    out.offsets = reinterpret_cast<int32_t*>(at += bytes.sums);
    out.eighths = reinterpret_cast<int32_t*>(at += bytes.offsets);
    out.scales = reinterpret_cast<float*>(at + bytes.eighths);
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
    auto* const q8 = reinterpret_cast<int8_t*>(host_bytes(*scratch_.q8));
    auto* const q8_scales = reinterpret_cast<float*>(host_bytes(*scratch_.q8_scales));
    auto* const rounded = reinterpret_cast<uint16_t*>(host_bytes(*scratch_.bf16));
    if (needs & kPanelImage) out.image = image_of(x);
    if (needs & kRowImage) {
        out.q8 = q8;
        out.q8_scales = q8_scales;
    }
    if (needs & kPanelBf16) {
        out.floats.x_stride = x.cols + 32;  // an odd number of cache lines where K is a multiple of 64
        out.floats.xb = rounded;
    }
    if (!in.norm && !(needs & (kPanelImage | kRowImage | kPanelBf16))) return out;
    pool_.run(x.rows, [&](int64_t t, int) {
        if (in.norm) table_.rms_norm(host_floats(in.x, t), host_floats(in.norm), x.cols, in.eps, host_floats(x, t));
        if (needs & kPanelImage) table_.quantize_panel(host_floats(x, t), t, out.image);
        if (needs & kRowImage) table_.quantize(host_floats(x, t), x.cols, q8 + t * x.cols, q8_scales + t * blocks);
        if (needs & kPanelBf16) table_.round_bf16(host_floats(x, t), x.cols, rounded + t * out.floats.x_stride);
    });
    return out;
}

void CpuDevice::multiply_rows(const TensorView& w, const TensorView& bias, const Input& in, const TensorView& out,
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
    a.bias = bias ? host_floats(bias) : nullptr;
    a.y = host_floats(out);
    a.y_stride = out.row_bytes / static_cast<int64_t>(sizeof(float));
    a.row_begin = begin;
    a.row_end = end;
    a.scratch = scratch(thread);
    table_.matmul[index(w.format)](a);
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

void CpuDevice::multiply(const TensorView& w, const TensorView& bias, const Input& in, const TensorView& out, int64_t begin,
                         int64_t end, int thread) {
    if (w.layout == Layout::panels)
        multiply_panels(w, in, out, begin, end);
    else
        multiply_rows(w, bias, in, out, begin, end, thread);
}

void CpuDevice::matmul(std::span<const MatmulPart> parts, const MatmulInput& in) {
    const Recorded op(recorder_, [&] { return product_name(parts, in); }, [&] {
        OpCost all;
        for (const MatmulPart& p : parts) all = all + product_cost(p.weights, p.rows, in.x.rows);
        return all;
    });
    unsigned needs = kNothing;
    for (const MatmulPart& p : parts) needs |= need(p.weights);
    const Input input = prepare(in, needs);
    const int64_t slice = rows_per_item(in.x.rows);
    std::array<int64_t, kMaxParts + 1> first_item{};  // items of part i: [first_item[i], first_item[i + 1])
    for (size_t i = 0; i < parts.size(); ++i) {
        const int64_t count = parts[i].rows.end_of(parts[i].weights) - parts[i].rows.begin;
        first_item[i + 1] = first_item[i] + (count + slice - 1) / slice;
    }
    pool_.run(first_item[parts.size()], [&](int64_t item, int thread) {
        size_t i = 0;
        while (item >= first_item[i + 1]) ++i;
        const MatmulPart& p = parts[i];
        const int64_t begin = p.rows.begin + (item - first_item[i]) * slice;
        const int64_t end = std::min(begin + slice, p.rows.end_of(p.weights));
        multiply(p.weights, p.bias, input, p.out, begin, end, thread);
    });
}

// The thread that has both products of some rows also gates them.
void CpuDevice::gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                             const TensorView& scratch, const TensorView& out, RowRange rows) {
    const Recorded op(recorder_, in.norm ? "norm+matmul gate+up+geglu" : "matmul gate+up+geglu", [&] {
        return product_cost(gate, rows, in.x.rows) + product_cost(up, rows, in.x.rows);
    });
    const Input input = prepare(in, need(gate) | need(up));
    const int64_t slice = rows_per_item(in.x.rows);
    const int64_t last = rows.end_of(gate);
    pool_.run((last - rows.begin + slice - 1) / slice, [&](int64_t item, int thread) {
        const int64_t begin = rows.begin + item * slice, end = std::min(begin + slice, last);
        multiply(gate, {}, input, out, begin, end, thread);
        multiply(up, {}, input, scratch, begin, end, thread);
        for (int64_t t = 0; t < in.x.rows; ++t)
            table_.geglu(host_floats(out, t) + begin, host_floats(scratch, t) + begin, end - begin, host_floats(out, t) + begin);
    });
}

}  // namespace lapidary::runtime
