// Products with matrices of the 12B's shapes, by way of runtime/vulkan/products.h: few columns with weights from memory, as
// in decoding, and a chunk of a prompt. And the greatest scores of a row.
#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "bench/shaders_support.h"
#include "kernels/panels.h"
#include "runtime/vulkan/products.h"
#include "runtime/vulkan/top_k.h"

namespace lapidary::bench {
namespace {

struct Shape {
    const char* name;
    int64_t rows, k;
    bool gated = false;
};
constexpr Shape kUp = {"up", 15360, 3840}, kGated = {"gate+up", 15360, 3840, true}, kDown = {"down", 3840, 15360};
constexpr Shape kHead = {"head", 262144, 3840};
constexpr Shape kSmall = {"small", 96, 512}, kSmallGated = {"small gate+up", 96, 512, true};

TensorView matrix(const std::shared_ptr<VulkanBuffer>& buffer, Format format, Layout layout, const Shape& s) {
    TensorView v = view(buffer, format, s.rows, s.k);
    v.layout = layout;
    if (layout == Layout::panels) v.row_bytes = kernels::panel_bytes(format, s.k) / kernels::kPanel;
    return v;
}

Result<TensorView> rows(Gpu& gpu, Work& work, int64_t columns, int64_t width) {
    LAP_ASSIGN(const auto buffer, gpu.random(work, columns * width * 4));
    return view(buffer, Format::f32, columns, width);
}

// One call of products.h on weights of its own.
Result<void> add_call(Gpu& gpu, Work& work, const Products& products, Format format, Layout layout, const Shape& s,
                      const TensorView& x, const TensorView& y, const Range& image) {
    const int64_t unit = layout == Layout::panels ? kernels::kPanel : 1;
    const int64_t bytes = (s.rows + unit - 1) / unit *
                          (layout == Layout::panels ? kernels::panel_bytes(format, s.k) : kernels::row_bytes(format, s.k));
    LAP_ASSIGN(const auto weights, gpu.random(work, bytes));
    const TensorView w = matrix(weights, format, layout, s);
    std::vector<Dispatch>& call = work.calls.emplace_back();
    if (s.gated) {
        LAP_ASSIGN(const auto more, gpu.random(work, bytes));
        LAP_ASSIGN(const TensorView scratch, rows(gpu, work, x.rows, s.rows));
        LAP_ASSIGN(const auto own, gpu.random(work, static_cast<int64_t>(product_image_bytes(x.rows, s.rows))));
        LAP_ASSIGN(const auto counters, gpu.host(work, s.rows / 256 * 4 + 4));
        products.gated_matmul(w, matrix(more, format, layout, s), x, image, true, scratch, y, {},
                              {range_of(*own, 0, own->bytes), range_of(*counters, 0, counters->bytes)}, call);
        return {};
    }
    const MatmulPart part{.weights = w, .out = y};
    products.matmul({&part, 1}, x, image, true, call);
    return {};
}

// That multiply with the row's shader, where it can serve.
Products products_with(const ShaderRow& row, DeviceFacts facts, Format format, int64_t k) {
    ProductTuning tuning;
    tuning.floats.half = row.needs & kFloat16;
    const bool matrices = row.needs & (kMatrixHalf | kMatrixInt8), gate = row.source == "geglu.comp";
    facts.dot = facts.dot && (row.needs & kDot || matrices || gate);
    const bool precise = row.needs == kNothing && !gate;
    if (matrices) {
        for (const MatrixTuning& t : matrix_candidates()) {
            tuning.matrix = t;
            Products products(facts, precise, tuning);
            if (products.name_of(format, Layout::panels, k, t.columns) == row.name) return products;
        }
        tuning.matrix.reset();
    }
    return Products(facts, precise, tuning);
}

Result<Work> product(Gpu& gpu, const ShaderRow& row, Format format, Layout layout, const Shape& s, int64_t columns) {
    Work work;
    const Products products = products_with(row, gpu.facts(), format, s.k);
    LAP_ASSIGN(const TensorView x, rows(gpu, work, columns, s.k));
    LAP_ASSIGN(const TensorView y, rows(gpu, work, columns, s.rows));
    LAP_ASSIGN(const auto image, gpu.random(work, static_cast<int64_t>(product_image_bytes(columns, s.k))));
    const int64_t matrices = s.gated ? 2 : 1, bytes = matrices * s.rows * kernels::row_bytes(format, s.k);
    for (int64_t i = 0; i < gpu.cold_copies(bytes); ++i)
        LAP_TRY(add_call(gpu, work, products, format, layout, s, x, y, range_of(*image, 0, image->bytes)));
    work.bytes = static_cast<double>(bytes + columns * (s.k + s.rows) * 4);
    work.macs = static_cast<double>(matrices * s.rows * s.k * columns);
    return work;
}

Result<Work> top(Gpu& gpu, int64_t vocabulary, int32_t k) {
    Work work;
    StepShape shape;
    shape.columns = 1;
    LAP_ASSIGN(const auto block, gpu.host(work, static_cast<int64_t>(StepInputs::bytes(shape))));
    const auto inputs = std::make_shared<StepInputs>(block->mapped(), shape);
    work.keeps.push_back(inputs);
    const StepMemory memory{inputs.get(), 1, range_of(*block, 0, block->bytes), {}, {}};
    LAP_ASSIGN(const TensorView scores, rows(gpu, work, 1, vocabulary));
    LAP_ASSIGN(const TensorView to, rows(gpu, work, 1, 2 * k));
    LAP_ASSIGN(const auto lists, gpu.random(work, static_cast<int64_t>(top_k_scratch_bytes(1, vocabulary, k))));
    note_top_k(scores, k, to, memory, range_of(*lists, 0, lists->bytes), work.calls.emplace_back());
    work.bytes = static_cast<double>(scores.bytes());
    return work;
}

std::vector<Shape> shapes_for(const ShaderRow& row, const Gpu& gpu) {
    if (row.name == "geglu") return {gpu.small() ? kSmallGated : kGated};
    if (gpu.small()) return {kSmall};
    if (row.name == "matvec_q4_0_dot") return {kUp, kGated, kDown};
    if (row.name == "matvec_q6_k_dot") return {kUp, kHead};
    if (row.name == "matmul_q4_0_dot") return {kUp, kDown};
    return {kUp};
}

}  // namespace

Cases product_cases(const ShaderRow& row, Shader shader, const Gpu& gpu) {
    const bool few = row.name.starts_with("matvec_"), gate = shader == Shader::geglu;
    Cases out;
    if (shader == Shader::top_k) {
        const int64_t vocabulary = gpu.small() ? 4500 : 262144;
        return {{shader, concat(row.name, "/scores:", vocabulary, "/k:64"), [=](Gpu& g) { return top(g, vocabulary, 64); }}};
    }
    if (!few && !gate && shader != Shader::row_powers && !row.name.starts_with("matmul_")) return out;
    const Format format = gate ? Format::q4_0 : shader == Shader::row_powers ? Format::f16 : format_of(row);
    const bool in_panels = row.name.find("_rows_") == std::string_view::npos;
    for (const Shape& s : shapes_for(row, gpu))
        for (const int64_t columns : few ? std::vector<int64_t>{1, 8} : std::vector<int64_t>{gpu.small() ? 9 : 512})
            out.push_back({shader, concat(row.name, "/", s.name, "/columns:", columns), [=, &row](Gpu& g) {
                               return product(g, row, format, in_panels ? Layout::panels : Layout::rows, s, columns);
                           }});
    return out;
}

}  // namespace lapidary::bench
