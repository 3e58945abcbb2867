// Dispatches of products; see products.h.
#include <algorithm>
#include <utility>

#include "kernels/panels.h"
#include "runtime/vulkan/products.h"

namespace lapidary::runtime::vulkan {
namespace {

using kernels::kPanel;

uint32_t ceil_div(int64_t n, int64_t by) { return u32((n + by - 1) / by); }

// A part's rows, and where they and their results lie.
struct Slice {
    explicit Slice(const MatmulPart& p)
        : begin(p.rows.begin), end(p.rows.end_of(p.weights)), unit_bytes(p.weights.row_bytes), result(columns_of(p.out, begin, end)) {
        const bool panels = p.weights.layout == Layout::panels;
        if (panels) unit_bytes = kernels::panel_bytes(p.weights.format, p.weights.cols);
        const int64_t unit = panels ? kPanel : 1;
        const int64_t first = begin / unit, units = ceil_div(end, unit) - first;
        weights = range_of(*p.weights.buffer, p.weights.offset + static_cast<uint64_t>(first * unit_bytes),
                           static_cast<uint64_t>(units * unit_bytes));
        if (p.bias) bias = columns_of(p.bias, begin, end);
    }
    int64_t rows() const { return end - begin; }

    int64_t begin, end;
    int64_t unit_bytes;  // of a panel, or of a row
    Range weights, result, bias;
};

}  // namespace

// Parts of one format in panels, side by side; or, gated, two matrices that give one result.
void Products::add_matvec(std::span<const MatmulPart> parts, const TensorView& x, const Range& image, bool gated,
                          const ResultImage& left, std::vector<Dispatch>& out) const {
    const TensorView& w = parts[0].weights;
    struct {
        uint32_t k, stride, panel_bytes, ends[3], rows[4], strides[4];
    } scalars = {u32(w.cols), floats_apart(x), u32(kernels::panel_bytes(w.format, w.cols)), {}, {}, {}};
    const auto columns = u32(x.rows), matrices = gated ? 2u : 1u;
    int64_t all_rows = 0;
    for (const MatmulPart& p : parts) all_rows += p.rows.end_of(p.weights) - p.rows.begin;
    const MatvecTuning t = panels_for(w, columns, all_rows, gated);
    std::vector<Range> ranges(1 + 2 * kMaxParts);
    ranges[0] = wants_image(w, x.rows) ? image : columns_of(x, 0, x.cols);
    uint32_t groups = 0;
    for (size_t i = 0; i < kMaxParts; ++i) {
        if (i < parts.size()) {
            const Slice slice(parts[i]);
            ranges[1 + i] = slice.weights;
            if (i == 0 || !gated) {
                ranges[1 + kMaxParts + i] = slice.result;
                scalars.rows[i] = u32(slice.rows());
                scalars.strides[i] = floats_apart(parts[i].out);
                groups += ceil_div(ceil_div(slice.rows(), kPanel), t.panels);
            }
        }
        if (i < 3) scalars.ends[i] = groups;
    }
    const bool leaves = left.image.owner;
    if (leaves) {  // a gated product has one result, which leaves room in the row's pointers
        ranges[1 + kMaxParts + 1] = left.image;
        ranges[1 + kMaxParts + 2] = left.counters;
    }
    out.push_back(make_dispatch({shader_of(w, columns), {t.threads, columns, t.panels, matrices, leaves ? 1u : 0u}, t.subgroup},
                                {groups, 1, 1}, std::move(ranges), scalars));
}

void Products::add_matvec_rows(const MatmulPart& part, const TensorView& x, const Range& image, std::vector<Dispatch>& out) const {
    const Slice slice(part);
    struct {
        uint32_t k, row_bytes, rows, x_stride, result_stride, has_bias;
    } const scalars = {u32(x.cols), u32(slice.unit_bytes), u32(slice.rows()), floats_apart(x), floats_apart(part.out), part.bias ? 1u : 0u};
    constexpr uint32_t kThreads = 128, kRows = 8;
    const Range input = wants_image(part.weights, x.rows) ? image : columns_of(x, 0, x.cols);
    out.push_back(make_dispatch({shader_of(part.weights, x.rows), {kThreads, u32(x.rows), kRows}},
                                {ceil_div(slice.rows(), kRows), 1, 1}, {slice.weights, input, slice.bias, slice.result}, scalars));
}

void Products::add_matmul(const MatmulPart& part, const TensorView& x, const Range& image, std::vector<Dispatch>& out) const {
    const Slice slice(part);
    const bool image_serves = wants_image(part.weights, x.rows);
    const MatmulTuning t = tile_for(part.weights, x.rows);
    PipelineKey key = {shader_of(part.weights, x.rows), {t.threads, t.rows, t.columns, t.thread_rows}, t.subgroup};
    std::array<uint32_t, 3> groups = {ceil_div(x.rows, t.columns), ceil_div(slice.rows(), t.rows), 1};
    if (const auto m = matrices_for(part.weights, x.rows)) {
        key = matrix_pipeline(part.weights, *m);
        groups = {ceil_div(x.rows, m->columns), ceil_div(slice.rows(), m->rows), 1};
    }
    const uint32_t has_bias = part.bias ? 1 : 0;
    if (image_serves) {
        struct {
            uint32_t k, unit_bytes, rows, columns, result_stride, has_bias;
        } const scalars = {u32(x.cols), u32(slice.unit_bytes), u32(slice.rows()), u32(x.rows), floats_apart(part.out), has_bias};
        out.push_back(make_dispatch(key, groups, {slice.weights, image, slice.bias, slice.result}, scalars));
        return;
    }
    std::vector<Range> ranges = {slice.weights, columns_of(x, 0, x.cols), slice.bias, slice.result};
    if (t.half) {
        key.shader = *half_shader(part.weights.format, part.weights.layout, part.weights.cols);
        ranges.insert(ranges.begin() + 2, powers_range(x, image));
    }
    struct {
        uint32_t k, unit_bytes, rows, columns, x_stride, result_stride, has_bias;
    } const scalars = {u32(x.cols),  u32(slice.unit_bytes), u32(slice.rows()), u32(x.rows),
                       floats_apart(x), floats_apart(part.out),   has_bias};
    out.push_back(make_dispatch(key, groups, std::move(ranges), scalars));
}

void Products::matmul(std::span<const MatmulPart> parts, const TensorView& x, const Range& image, bool image_valid,
                      std::vector<Dispatch>& out) const {
    const auto wants = [&](const MatmulPart& p) { return wants_image(p.weights, x.rows); };
    if (!image_valid && std::any_of(parts.begin(), parts.end(), wants)) out.push_back(quantize_rows(x, image));
    if (x.rows > kMatvecColumns) {
        const auto halves = [&](const MatmulPart& p) { return !wants(p) && tile_for(p.weights, x.rows).half; };
        if (std::any_of(parts.begin(), parts.end(), halves)) out.push_back(row_powers(x, image));
        for (const MatmulPart& p : parts) add_matmul(p, x, image, out);
        return;
    }
    std::array<bool, kMaxParts> done{};
    for (size_t i = 0; i < parts.size(); ++i) {
        const TensorView& w = parts[i].weights;
        if (w.layout == Layout::rows) add_matvec_rows(parts[i], x, image, out);
        if (w.layout == Layout::rows || done[i]) continue;
        std::vector<MatmulPart> together;
        for (size_t j = i; j < parts.size(); ++j) {
            if (parts[j].weights.layout == Layout::rows || parts[j].weights.format != w.format) continue;
            together.push_back(parts[j]);
            done[j] = true;
        }
        add_matvec(together, x, image, false, {}, out);
    }
}

void Products::gated_matmul(const TensorView& gate, const TensorView& up, const TensorView& x, const Range& image,
                            bool image_valid, const TensorView& scratch, const TensorView& out_view, RowRange rows,
                            const ResultImage& left, std::vector<Dispatch>& out) const {
    const MatmulPart both[] = {{.weights = gate, .out = out_view, .rows = rows}, {.weights = up, .out = scratch, .rows = rows}};
    if (gated_together(gate, up, x.rows)) {
        if (!image_valid && wants_image(gate, x.rows)) out.push_back(quantize_rows(x, image));
        return add_matvec(both, x, image, true, leaves_image(gate, up, x.rows, rows) ? left : ResultImage{}, out);
    }
    matmul(both, x, image, image_valid, out);
    const int64_t begin = rows.begin, end = rows.end_of(gate);
    struct {
        uint32_t count, gate_stride, up_stride;
    } const scalars = {u32(end - begin), floats_apart(out_view), floats_apart(scratch)};
    constexpr uint32_t kThreads = 256;
    out.push_back(make_dispatch({Shader::geglu, {kThreads}}, {ceil_div(end - begin, kThreads), u32(x.rows), 1},
                                {columns_of(out_view, begin, end), columns_of(scratch, begin, end)}, scalars));
}

}  // namespace lapidary::runtime::vulkan
