// Dispatches of products; see products.h.
#include "runtime/vulkan/products.h"

#include <algorithm>
#include <utility>

#include "base/describe.h"
#include "kernels/panels.h"

namespace lapidary::runtime::vulkan {
namespace {

using kernels::kActivationGroup;
using kernels::kPanel;

// Sums of four rows, one for each panel and column, that a thread of a mat-vec has: 64 registers of 16 lanes are all that
// Intel's GPUs have.
constexpr uint32_t kThreadSums = 8;
constexpr int64_t kGatedColumns = kThreadSums / 2;  // of two matrices in one dispatch

uint32_t u32(int64_t n) { return static_cast<uint32_t>(n); }
uint32_t ceil_div(int64_t n, int64_t by) { return u32((n + by - 1) / by); }
uint32_t stride_of(const TensorView& v) { return u32(v.row_bytes / 4); }

// Values [begin, end) of every row, f32.
Range columns_of(const TensorView& v, int64_t begin, int64_t end) {
    return range_of(*v.buffer, v.offset + static_cast<uint64_t>(4 * begin),
                    static_cast<uint64_t>((v.rows - 1) * v.row_bytes + 4 * (end - begin)));
}

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

constexpr uint32_t kBlock = 32;  // values of K in a step of matrices; what tiles are multiples of

// Of results in a subgroup: more crowd its registers, and compilers that unroll them take a minute.
constexpr uint32_t kMostMatrices = 8;

// The largest whose rows and columns divide any tile, whose results find room in shared memory, and whose K divides `k`.
MatrixShape fitting_shape(const std::vector<MatrixShape>& shapes, uint32_t k) {
    MatrixShape best;
    for (const MatrixShape& s : shapes) {
        const bool fits = s.m > 0 && s.n > 0 && s.k > 0 && kBlock % s.m == 0 && kBlock % s.n == 0 && s.m * s.n <= 512 &&
                          k % s.k == 0 && s.k % 4 == 0;
        if (fits && s.m * s.n * s.k > best.m * best.n * best.k) best = s;
    }
    return best;
}

bool gated_together(const TensorView& gate, const TensorView& up) {
    return gate.layout == Layout::panels && up.layout == Layout::panels && gate.format == up.format;
}

uint32_t subgroups_of(const MatrixTuning& t) { return t.rows / t.own_rows * (t.columns / t.own_columns); }

std::optional<Shader> find_shader(const std::string& name) {
    const auto rows = shader_rows();
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const ShaderRow& r) { return r.name == name; });
    if (found == rows.end()) return std::nullopt;
    return static_cast<Shader>(found - rows.begin());
}

}  // namespace

uint64_t product_image_bytes(int64_t columns, int64_t widest) {
    const int64_t groups = (widest + kActivationGroup - 1) / kActivationGroup;
    return static_cast<uint64_t>(columns * groups * (kActivationGroup + 4));
}

Dispatch quantize_rows(const TensorView& x, const Range& image) {
    struct {
        uint32_t k, stride, columns;
    } const scalars = {u32(x.cols), stride_of(x), u32(x.rows)};
    constexpr uint32_t kThreads = 256, kGroups = kThreads / 64;  // 64 threads a group of 256 values
    return make_dispatch({Shader::quantize, {kThreads}}, {ceil_div(x.cols / kActivationGroup, kGroups), scalars.columns, 1},
                         {columns_of(x, 0, x.cols), image}, scalars);
}

std::string name(const Tuning& tuning) {
    if (const auto* matvec = std::get_if<MatvecTuning>(&tuning)) return concat(matvec->threads, "x", matvec->panels);
    if (const auto* m = std::get_if<MatrixTuning>(&tuning))
        return concat(m->kind == MatrixKind::int8 ? "matrix_int8 " : "matrix_half ", m->rows, "x", m->columns, "x", m->own_rows, "x",
                      m->own_columns);
    const auto& tile = std::get<MatmulTuning>(tuning);
    return concat(tile.threads, "x", tile.rows, "x", tile.columns, "x", tile.thread_rows);
}

std::string name(const ShapeClass& shape) { return concat(row_of(shape.shader).name, " k", shape.k); }

std::span<const MatvecTuning> matvec_candidates() {
    static constexpr MatvecTuning kAll[] = {{64, 2}, {32, 1}, {32, 2}, {64, 1}, {64, 4}, {128, 1}, {128, 2}, {256, 1}};
    return kAll;
}

std::span<const MatmulTuning> dot_candidates() {
    static constexpr MatmulTuning kAll[] = {{256, 64, 64, 4},  {64, 64, 32, 8},   {128, 64, 64, 8}, {128, 128, 32, 8},
                                            {256, 128, 64, 8}, {256, 128, 128, 8}};
    return kAll;
}

std::span<const MatmulTuning> float_candidates() { return dot_candidates().first(5); }

std::span<const MatrixTuning> matrix_candidates() {
    using enum MatrixKind;
    static constexpr MatrixTuning kAll[] = {{int8, 64, 64, 32, 32}, {half, 64, 64, 32, 32}, {int8, 128, 64, 64, 32},
                                            {half, 128, 64, 64, 32}, {int8, 64, 64, 32, 16}, {half, 64, 64, 32, 16},
                                            {int8, 64, 32, 32, 32}, {half, 64, 32, 32, 32}};
    return kAll;
}

// A subgroup's threads must be known: required where they can be, else all subgroups have the device's number.
Products::Products(const DeviceFacts& facts, bool precise, const ProductTuning& tuning)
    : subgroup_(facts.subgroup), most_threads_(facts.limits.maxComputeWorkGroupInvocations),
      require_subgroup_(facts.subgroup_min <= facts.subgroup && facts.subgroup <= facts.subgroup_max), tuning_(tuning) {
    if (!precise) {
        shapes_[0].fill(fitting_shape(facts.matrix_half, kBlock));
        shapes_[1] = {fitting_shape(facts.matrix_int8, kBlock), fitting_shape(facts.matrix_int8, kBlock / 2)};
    }
    for (size_t i = 0; i < kernels::kFormats; ++i) {
        const bool image = (facts.needs() & kDot) && !precise && kernels::is_quantised(static_cast<Format>(i));
        for (auto& formats : int8_) formats[i] = image;
        const std::string format = kernels::name(static_cast<Format>(i));
        shaders_[matvec_panels][i] = find_shader(concat("matvec_", format));
        shaders_[matvec_panels_dot][i] = find_shader(concat("matvec_", format, "_dot"));
        shaders_[matvec_rows][i] = find_shader(concat("matvec_rows_", format));
        shaders_[matvec_rows_dot][i] = find_shader(concat("matvec_rows_", format, "_dot"));
        shaders_[matmul_panels][i] = find_shader(concat("matmul_", format));
        shaders_[matmul_panels_dot][i] = find_shader(concat("matmul_", format, "_dot"));
        shaders_[matmul_matrix_half][i] = find_shader(concat("matmul_", format, "_matrix_half"));
        shaders_[matmul_matrix_int8][i] = find_shader(concat("matmul_", format, "_matrix_int8"));
        shaders_[matmul_rows][i] = find_shader(concat("matmul_rows_", format));
        shaders_[matmul_rows_dot][i] = find_shader(concat("matmul_rows_", format, "_dot"));
    }
}

Layout Products::layout_of(Format format, int64_t k) const {
    return kernels::has_panels(format) && k % kernels::panel_k_multiple(format) == 0 ? Layout::panels : Layout::rows;
}

bool Products::takes_image(Format format, Layout layout, int64_t k) const {
    return int8_[static_cast<size_t>(layout)][static_cast<size_t>(format)] && k % kActivationGroup == 0;
}

std::optional<Shader> Products::matrix_shader(Format format, Layout layout, int64_t k, const MatrixTuning& t) const {
    const MatrixShape& s = shapes_[static_cast<size_t>(t.kind)][format == Format::q6_k];
    const bool serves = layout == Layout::panels && k % kActivationGroup == 0 && subgroups_of(t) * subgroup_ <= most_threads_ &&
                        s.k > 0 && t.own_rows / s.m * (t.own_columns / s.n) <= kMostMatrices && t.own_rows % s.m == 0 &&
                        t.own_columns % s.n == 0;
    if (!serves) return std::nullopt;
    return shaders_[t.kind == MatrixKind::int8 ? matmul_matrix_int8 : matmul_matrix_half][static_cast<size_t>(format)];
}

std::optional<MatrixTuning> Products::matrices_for(Format format, Layout layout, int64_t k, int64_t columns) const {
    if (columns <= kMatvecColumns) return std::nullopt;
    std::optional<MatrixTuning> t = tuning_.matrix;
    if (const auto own = tuned_.find({shader_of(format, layout, columns, takes_image(format, layout, k)), k}); own != tuned_.end()) {
        const auto* matrix = std::get_if<MatrixTuning>(&own->second);
        t = matrix ? std::optional(*matrix) : std::nullopt;
    }
    if (!t || !matrix_shader(format, layout, k, *t)) return std::nullopt;
    while (columns * 2 <= t->columns && t->columns % (2 * t->own_columns) == 0) t->columns /= 2;
    return t;
}

std::optional<MatrixTuning> Products::matrices_for(const TensorView& w, int64_t columns) const {
    return matrices_for(w.format, w.layout, w.cols, columns);
}

PipelineKey Products::matrix_pipeline(const TensorView& w, const MatrixTuning& t) const {
    const MatrixShape& s = shapes_[static_cast<size_t>(t.kind)][w.format == Format::q6_k];
    return {*matrix_shader(w.format, w.layout, w.cols, t),
            {subgroups_of(t) * subgroup_, t.rows, t.columns, t.own_rows, t.own_columns, s.m, s.n, s.k},
            require_subgroup_ ? subgroup_ : 0};
}

Shader Products::shader_of(Format format, Layout layout, int64_t columns, bool image) const {
    const bool few = columns <= kMatvecColumns;
    int family = few ? matvec_panels : matmul_panels;
    if (layout == Layout::rows) family = few ? matvec_rows : matmul_rows;
    return *shaders_[family + image][static_cast<size_t>(format)];  // the table has all that can be asked for
}

Shader Products::shader_of(const TensorView& w, int64_t columns) const {
    return shader_of(w.format, w.layout, columns, takes_image(w.format, w.layout, w.cols));
}

bool Products::disable(Format format, Layout layout) {
    return std::exchange(int8_[static_cast<size_t>(layout)][static_cast<size_t>(format)], false);
}

std::string Products::name_of(Format format, Layout layout, int64_t k, int64_t columns) const {
    const auto matrices = matrices_for(format, layout, k, columns);
    const Shader shader = matrices ? *matrix_shader(format, layout, k, *matrices)
                                   : shader_of(format, layout, columns, takes_image(format, layout, k));
    return std::string(row_of(shader).name);
}

MatmulTuning Products::tile_for(const TensorView& w, int64_t columns) const {
    MatmulTuning t = takes_image(w.format, w.layout, w.cols) ? tuning_.dot : tuning_.floats;
    const auto own = tuned_.find({shader_of(w, columns), w.cols});
    if (own != tuned_.end() && std::holds_alternative<MatmulTuning>(own->second)) t = std::get<MatmulTuning>(own->second);
    for (; columns * 2 <= t.columns && t.threads >= 128 && t.columns >= 32; t.columns /= 2) t.threads /= 2;
    return t;
}

int64_t Products::columns_like(const TensorView& w, int64_t columns) const {
    if (columns <= kMatvecColumns) return columns;
    const auto matrices = matrices_for(w, columns);
    return std::min<int64_t>(columns, (matrices ? matrices->columns : tile_for(w, columns).columns) * 3 / 4 - 1);
}

bool Products::takes_images() const {
    if (shapes_[0][0].k > 0 || shapes_[1][0].k > 0) return true;
    return std::any_of(int8_.begin(), int8_.end(), [](const auto& formats) {
        return std::any_of(formats.begin(), formats.end(), [](bool serves) { return serves; });
    });
}

bool Products::wants_image(const TensorView& w, int64_t columns) const {
    return takes_image(w.format, w.layout, w.cols) || matrices_for(w, columns);
}

bool Products::leaves_image(const TensorView& gate, const TensorView& up, int64_t columns, RowRange rows) const {
    const bool whole = rows.begin == 0 && rows.end_of(gate) == gate.rows && gate.rows % kActivationGroup == 0;
    return whole && gate.rows / kActivationGroup <= kResultGroups && columns <= kGatedColumns && gated_together(gate, up) &&
           wants_image(gate, columns) && matvec_of(gate, columns).threads % 64 == 0;
}

std::optional<ShapeClass> Products::class_of(const TensorView& w, int64_t columns) const {
    if (columns <= kMatvecColumns && w.layout == Layout::rows) return std::nullopt;
    return ShapeClass{shader_of(w, columns), w.cols};
}

std::vector<Tuning> Products::candidates(const TensorView& w, int64_t columns) const {
    if (columns <= kMatvecColumns) return {matvec_candidates().begin(), matvec_candidates().end()};
    const auto tiles = takes_image(w.format, w.layout, w.cols) ? dot_candidates() : float_candidates();
    std::vector<Tuning> all(tiles.begin(), tiles.end());
    for (const MatrixTuning& t : matrix_candidates())
        if (matrix_shader(w.format, w.layout, w.cols, t)) all.emplace_back(t);
    return all;
}

Tuning Products::at_work(const TensorView& w, int64_t columns, int64_t rows, bool gated) const {
    if (const auto matrices = matrices_for(w, columns)) return *matrices;
    if (columns > kMatvecColumns) return tile_for(w, columns);
    MatvecTuning t = panels_for(w, columns, rows, gated && columns <= kGatedColumns);
    t.groups = 0;  // the same panels for any number of rows
    return t;
}

MatvecTuning Products::matvec_of(const TensorView& w, int64_t columns) const {
    const auto own = tuned_.find({shader_of(w, columns), w.cols});
    return own != tuned_.end() ? std::get<MatvecTuning>(own->second) : tuning_.matvec;
}

// Panels as tuned, but not so many that a thread's sums, so many for each panel, crowd its registers, or that a narrow product
// leaves parts of the GPU without work.
MatvecTuning Products::panels_for(const TensorView& w, int64_t columns, int64_t rows, bool gated) const {
    MatvecTuning t = matvec_of(w, columns);
    const uint32_t sums = u32(columns) * (gated ? 2 : 1);
    while (t.panels > 1 && (t.panels * sums > kThreadSums || rows / kPanel < int64_t{t.groups} * t.panels)) t.panels /= 2;
    return t;
}

// Parts of one format in panels, side by side; or, gated, two matrices that give one result.
void Products::add_matvec(std::span<const MatmulPart> parts, const TensorView& x, const Range& image, bool gated,
                          const ResultImage& left, std::vector<Dispatch>& out) const {
    const TensorView& w = parts[0].weights;
    struct {
        uint32_t k, stride, panel_bytes, ends[3], rows[4], strides[4];
    } scalars = {u32(w.cols), stride_of(x), u32(kernels::panel_bytes(w.format, w.cols)), {}, {}, {}};
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
                scalars.strides[i] = stride_of(parts[i].out);
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
    out.push_back(make_dispatch({shader_of(w, columns), {t.threads, columns, t.panels, matrices, leaves ? 1u : 0u}},
                                {groups, 1, 1}, std::move(ranges), scalars));
}

void Products::add_matvec_rows(const MatmulPart& part, const TensorView& x, const Range& image, std::vector<Dispatch>& out) const {
    const Slice slice(part);
    struct {
        uint32_t k, row_bytes, rows, x_stride, result_stride, has_bias;
    } const scalars = {u32(x.cols), u32(slice.unit_bytes), u32(slice.rows()), stride_of(x), stride_of(part.out), part.bias ? 1u : 0u};
    constexpr uint32_t kThreads = 128, kRows = 8;
    const Range input = wants_image(part.weights, x.rows) ? image : columns_of(x, 0, x.cols);
    out.push_back(make_dispatch({shader_of(part.weights, x.rows), {kThreads, u32(x.rows), kRows}},
                                {ceil_div(slice.rows(), kRows), 1, 1}, {slice.weights, input, slice.bias, slice.result}, scalars));
}

void Products::add_matmul(const MatmulPart& part, const TensorView& x, const Range& image, std::vector<Dispatch>& out) const {
    const Slice slice(part);
    const bool image_serves = wants_image(part.weights, x.rows);
    const MatmulTuning t = tile_for(part.weights, x.rows);
    PipelineKey key = {shader_of(part.weights, x.rows), {t.threads, t.rows, t.columns, t.thread_rows}};
    std::array<uint32_t, 3> groups = {ceil_div(x.rows, t.columns), ceil_div(slice.rows(), t.rows), 1};
    if (const auto m = matrices_for(part.weights, x.rows)) {
        key = matrix_pipeline(part.weights, *m);
        groups = {ceil_div(x.rows, m->columns), ceil_div(slice.rows(), m->rows), 1};
    }
    const uint32_t has_bias = part.bias ? 1 : 0;
    if (image_serves) {
        struct {
            uint32_t k, unit_bytes, rows, columns, result_stride, has_bias;
        } const scalars = {u32(x.cols), u32(slice.unit_bytes), u32(slice.rows()), u32(x.rows), stride_of(part.out), has_bias};
        out.push_back(make_dispatch(key, groups, {slice.weights, image, slice.bias, slice.result}, scalars));
        return;
    }
    struct {
        uint32_t k, unit_bytes, rows, columns, x_stride, result_stride, has_bias;
    } const scalars = {u32(x.cols),  u32(slice.unit_bytes), u32(slice.rows()), u32(x.rows),
                       stride_of(x), stride_of(part.out),   has_bias};
    out.push_back(make_dispatch(key, groups, {slice.weights, columns_of(x, 0, x.cols), slice.bias, slice.result}, scalars));
}

void Products::matmul(std::span<const MatmulPart> parts, const TensorView& x, const Range& image, bool image_valid,
                      std::vector<Dispatch>& out) const {
    const auto wants = [&](const MatmulPart& p) { return wants_image(p.weights, x.rows); };
    if (!image_valid && std::any_of(parts.begin(), parts.end(), wants)) out.push_back(quantize_rows(x, image));
    if (x.rows > kMatvecColumns) {
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
    if (x.rows <= kGatedColumns && gated_together(gate, up)) {
        if (!image_valid && wants_image(gate, x.rows)) out.push_back(quantize_rows(x, image));
        return add_matvec(both, x, image, true, leaves_image(gate, up, x.rows, rows) ? left : ResultImage{}, out);
    }
    matmul(both, x, image, image_valid, out);
    const int64_t begin = rows.begin, end = rows.end_of(gate);
    struct {
        uint32_t count, gate_stride, up_stride;
    } const scalars = {u32(end - begin), stride_of(out_view), stride_of(scratch)};
    constexpr uint32_t kThreads = 256;
    out.push_back(make_dispatch({Shader::geglu, {kThreads}}, {ceil_div(end - begin, kThreads), u32(x.rows), 1},
                                {columns_of(out_view, begin, end), columns_of(scratch, begin, end)}, scalars));
}

}  // namespace lapidary::runtime::vulkan
