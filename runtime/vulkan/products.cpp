// Which shader serves, and with which tuning; see products.h.
#include "runtime/vulkan/products.h"

#include <algorithm>
#include <utility>

#include "base/describe.h"
#include "kernels/panels.h"

namespace lapidary::runtime::vulkan {
namespace {

using kernels::kActivationGroup;
using kernels::kPanel;

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

constexpr MatmulTuning kTiles[] = {{256, 64, 64, 4},  {64, 64, 32, 8},   {128, 64, 64, 8}, {128, 128, 32, 8},
                                   {256, 128, 64, 8}, {256, 128, 128, 8}};

uint32_t subgroups_of(const MatrixTuning& t) { return t.rows / t.own_rows * (t.columns / t.own_columns); }

std::optional<Shader> find_shader(const std::string& name) {
    const auto rows = shader_rows();
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const ShaderRow& r) { return r.name == name; });
    if (found == rows.end()) return std::nullopt;
    return static_cast<Shader>(found - rows.begin());
}

}  // namespace

std::string name(const Tuning& tuning) {
    const auto subgroup = [](uint32_t threads) { return threads > 0 ? concat(" s", threads) : std::string(); };
    if (const auto* matvec = std::get_if<MatvecTuning>(&tuning))
        return concat(matvec->threads, "x", matvec->panels, subgroup(matvec->subgroup));
    if (const auto* m = std::get_if<MatrixTuning>(&tuning))
        return concat(m->kind == MatrixKind::int8 ? "matrix_int8 " : "matrix_half ", m->rows, "x", m->columns, "x", m->own_rows, "x",
                      m->own_columns);
    const auto& tile = std::get<MatmulTuning>(tuning);
    return concat(tile.half ? "half " : "", tile.threads, "x", tile.rows, "x", tile.columns, "x", tile.thread_rows, subgroup(tile.subgroup));
}

std::string name(const ShapeClass& shape) { return concat(row_of(shape.shader).name, " k", shape.k); }

std::span<const MatvecTuning> matvec_candidates() {
    static constexpr MatvecTuning kAll[] = {{64, 2}, {32, 1}, {32, 2}, {64, 1}, {64, 4}, {128, 1}, {128, 2}, {256, 1}};
    return kAll;
}

std::span<const MatmulTuning> dot_candidates() { return kTiles; }

std::span<const MatmulTuning> float_candidates() { return dot_candidates().first(5); }

std::span<const MatmulTuning> half_candidates() {
    static constexpr auto kAll = [] {
        std::array<MatmulTuning, std::size(kTiles)> all{};
        std::copy(std::begin(kTiles), std::end(kTiles), all.begin());
        for (MatmulTuning& t : all) t.half = true;
        return all;
    }();
    return kAll;
}

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
      require_subgroup_(facts.subgroup_min <= facts.subgroup && facts.subgroup <= facts.subgroup_max),
      half_(facts.float16 && !precise), tuning_(tuning) {
    if (!precise) {
        shapes_[0].fill(fitting_shape(facts.matrix_half, kBlock));
        shapes_[1] = {fitting_shape(facts.matrix_int8, kBlock), fitting_shape(facts.matrix_int8, kBlock / 2)};
    }
    constexpr uint32_t kSmallestSubgroup = 16;  // fewer are for shaders that crowd registers
    for (uint32_t size = kSmallestSubgroup; require_subgroup_ && size <= facts.subgroup_max; size *= 2)
        if (size >= facts.subgroup_min && size != subgroup_) other_subgroups_.push_back(size);
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
        shaders_[matmul_half][i] = find_shader(concat("matmul_", format, "_half"));
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
    if (matrices) return std::string(row_of(*matrix_shader(format, layout, k, *matrices)).name);
    const bool half = columns > kMatvecColumns && tile_for(format, layout, k, columns).half;
    const Shader shader = half ? *half_shader(format, layout, k) : shader_of(format, layout, columns, takes_image(format, layout, k));
    return std::string(row_of(shader).name);
}

std::optional<Shader> Products::half_shader(Format format, Layout layout, int64_t k) const {
    if (!half_ || layout != Layout::panels || takes_image(format, layout, k)) return std::nullopt;
    return shaders_[matmul_half][static_cast<size_t>(format)];
}

MatmulTuning Products::tile_for(const TensorView& w, int64_t columns) const {
    return tile_for(w.format, w.layout, w.cols, columns);
}

MatmulTuning Products::tile_for(Format format, Layout layout, int64_t k, int64_t columns) const {
    const bool image = takes_image(format, layout, k);
    MatmulTuning t = image ? tuning_.dot : tuning_.floats;
    const auto own = tuned_.find({shader_of(format, layout, columns, image), k});
    if (own != tuned_.end() && std::holds_alternative<MatmulTuning>(own->second)) t = std::get<MatmulTuning>(own->second);
    t.half = t.half && half_shader(format, layout, k);
    for (; columns * 2 <= t.columns && t.threads >= 128 && t.columns >= 32; t.columns /= 2) t.threads /= 2;
    return t;
}

int64_t Products::columns_like(const TensorView& w, int64_t columns) const {
    if (columns <= kMatvecColumns) return columns;
    const auto matrices = matrices_for(w, columns);
    return (matrices ? matrices->columns : tile_for(w, columns).columns) * 3 / 4 - 1;
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

bool Products::gated_together(const TensorView& gate, const TensorView& up, int64_t columns) {
    return columns <= kGatedColumns && gate.layout == Layout::panels && up.layout == Layout::panels && gate.format == up.format;
}

bool Products::leaves_image(const TensorView& gate, const TensorView& up, int64_t columns, RowRange rows) const {
    const bool whole = rows.begin == 0 && rows.end_of(gate) == gate.rows && gate.rows % kActivationGroup == 0;
    return whole && gate.rows / kActivationGroup <= kResultGroups && gated_together(gate, up, columns) &&
           wants_image(gate, columns) && matvec_of(gate, columns).threads % 64 == 0;
}

std::optional<ShapeClass> Products::class_of(const TensorView& w, int64_t columns) const {
    if (columns <= kMatvecColumns && w.layout == Layout::rows) return std::nullopt;
    return ShapeClass{shader_of(w, columns), w.cols};
}

std::vector<Tuning> Products::candidates(const TensorView& w, int64_t columns) const {
    std::vector<Tuning> all;
    const auto add = [&](const auto& tunings) {
        constexpr size_t kWithSubgroups = 3;
        all.insert(all.end(), tunings.begin(), tunings.end());
        for (auto t : tunings.first(kWithSubgroups))
            for (const uint32_t size : other_subgroups_) {
                t.subgroup = size;
                all.emplace_back(t);
            }
    };
    if (columns <= kMatvecColumns) {
        add(matvec_candidates());
        return all;
    }
    add(takes_image(w.format, w.layout, w.cols) ? dot_candidates() : float_candidates());
    if (half_shader(w.format, w.layout, w.cols)) add(half_candidates());
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

}  // namespace lapidary::runtime::vulkan
