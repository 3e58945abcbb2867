// Products of every format, layout and number of columns against sums in double.
#include "runtime/vulkan/products.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/panels.h"
#include "tests/kernels/fixtures.h"
#include "tests/support/check_close.h"
#include "tests/support/vulkan_pair.h"
#include "tests/support/vulkan_rig.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::VulkanRig;

// Makes the quants of a block zero, where a value is scale times quant and an offset.
void clear_quants(Format f, uint8_t* block) {
    const auto zero = [&](int from, int to) { std::fill(block + from, block + to, uint8_t{0}); };
    switch (f) {
        case Format::q4_0: return zero(2, 18);
        case Format::q4_1: return zero(4, 20);
        case Format::q5_0: return zero(2, 22);
        case Format::q5_1: return zero(4, 24);
        case Format::q2_k: return zero(16, 80);
        case Format::q3_k: return zero(0, 96);
        case Format::q4_k: return zero(16, 144);
        case Format::q5_k: return zero(16, 176);
        default: return;
    }
}

// A matrix as the device has it, and its values.
struct Matrix {
    Matrix(test::Random& random, Format f, Layout layout, int64_t row_count, int64_t width)
        : rows(row_count), k(width), values(static_cast<size_t>(rows * k)) {
        const int64_t row_bytes = kernels::row_bytes(f, k);
        std::vector<uint8_t> bytes(static_cast<size_t>(rows * row_bytes));
        test::random_weights(random, f, rows * k, bytes.data());
        const auto expand = test::reference().expand[static_cast<size_t>(f)];
        expand(bytes.data(), rows * k, values.data());
        // A sum may be of quants times scale and of offsets, each larger than their difference: what a block of zeros is.
        std::vector<uint8_t> zeros = bytes;
        for (int64_t at = 0; at < rows * row_bytes; at += kernels::block_bytes(f)) clear_quants(f, &zeros[at]);
        parts.resize(values.size());
        expand(zeros.data(), rows * k, parts.data());
        for (size_t i = 0; i < parts.size(); ++i) parts[i] = std::abs(parts[i]) + std::abs(values[i] - parts[i]);
        if (layout == Layout::rows) {
            buffer = VulkanRig::get().upload(bytes);
            view = {buffer.get(), 0, f, rows, k, row_bytes};
            return;
        }
        const int64_t panel = kernels::panel_bytes(f, k), panels = (rows + 15) / 16;
        std::vector<uint8_t> packed(static_cast<size_t>(panels * panel));
        for (int64_t p = 0; p < panels; ++p)
            test::reference().pack_panel[static_cast<size_t>(f)](bytes.data() + p * 16 * row_bytes, row_bytes, k,
                                                                 std::min<int64_t>(16, rows - p * 16), packed.data() + p * panel);
        buffer = VulkanRig::get().upload(packed);
        view = {buffer.get(), 0, f, rows, k, panel / 16, Layout::panels};
    }
    int64_t rows, k;
    std::vector<float> values;  // [R][K]
    std::vector<float> parts;   // what rounding counts by, of the same form
    std::shared_ptr<VulkanBuffer> buffer;
    TensorView view;
};

constexpr int64_t kGap = 3;  // values between rows that nobody may touch

// [T][n + kGap], full of NaN.
struct Rows {
    Rows(int64_t columns, int64_t n) : buffer(VulkanRig::get().poisoned(static_cast<size_t>(columns * (n + kGap) * 4))) {
        view = {buffer.get(), 0, Format::f32, columns, n, (n + kGap) * 4};
    }
    std::vector<float> get() const { return VulkanRig::get().download<float>(*buffer); }
    std::shared_ptr<VulkanBuffer> buffer;
    TensorView view;
};

struct Input : Rows {
    Input(test::Random& random, int64_t columns, int64_t k)
        : Rows(columns, k), image(VulkanRig::get().poisoned(product_image_bytes(columns, k))) {
        for (int64_t t = 0; t < columns; ++t) random.fill(reinterpret_cast<float*>(buffer->mapped()) + t * (k + kGap), k);
    }
    Range range() const { return range_of(*image, 0, image->bytes); }
    // The values that a product multiplies: the rows, or what their image means.
    std::vector<double> values(bool quantised) const {
        const int64_t columns = view.rows, k = view.cols;
        const std::vector<float> x = get();
        std::vector<double> out(static_cast<size_t>(columns * k));
        const auto* q = reinterpret_cast<const int8_t*>(image->mapped());
        const auto* scales = reinterpret_cast<const float*>(image->mapped() + columns * k);
        for (int64_t i = 0; i < columns * k; ++i)
            out[i] = quantised ? q[i] * static_cast<double>(scales[i / 256]) : static_cast<double>(x[i / k * (k + kGap) + i % k]);
        return out;
    }
    std::shared_ptr<VulkanBuffer> image;
};

// What f32 sums of n terms, each rounded up to three times before, may be off by: Higham, Accuracy and Stability, 3.1.
double error_bound(double magnitude, int64_t terms) { return static_cast<double>(terms + 4) * test::kUnitRoundoff * magnitude * 1.01; }

constexpr double kHalfNormal = 0x1p-14;  // below it, values in f16 lie as far apart as there

// Empty when `got` holds the products of rows [begin, end) within f32's rounding, and NaN elsewhere. Sums of the int8 image
// are exact over 32 or 16 K. `k`: of the expected sum. `weight_error`: what a weight may be off by, relative to it.
std::string differs(const Matrix& m, const std::vector<double>& x, bool quantised, const std::vector<float>& got, int64_t columns,
                    int64_t begin, int64_t end, int64_t k, const std::vector<float>& bias = {}, double weight_error = 0) {
    const int64_t terms = quantised ? m.k / 16 : m.k;
    for (int64_t t = 0; t < columns; ++t)
        for (int64_t r = 0; r < m.rows + kGap; ++r) {
            const float y = got[t * (m.rows + kGap) + r];
            const std::string place = "column " + std::to_string(t) + ", row " + std::to_string(r);
            if (r < begin || r >= end) {
                if (!std::isnan(y)) return place + " is written";
                continue;
            }
            double sum = bias.empty() ? 0 : bias[r], magnitude = std::abs(sum), off = 0;
            for (int64_t i = 0; i < m.k; ++i) {
                if (i < k) sum += m.values[r * m.k + i] * x[t * m.k + i];
                magnitude += std::abs(m.parts[r * m.k + i] * x[t * m.k + i]);
                off += weight_error * std::max<double>(std::abs(m.values[r * m.k + i]), kHalfNormal) * std::abs(x[t * m.k + i]);
            }
            if (!(std::abs(y - sum) <= error_bound(magnitude, terms) + off))
                return place + " is " + std::to_string(y) + ", expected " + std::to_string(sum);
        }
    return {};
}

// With several panels a workgroup also where matrices are small.
Products make_products(bool precise, ProductTuning tuning = {}) {
    tuning.matvec.groups = 1;
    return Products(VulkanRig::get().context->facts(), precise, tuning);
}

std::vector<float> multiply(const Products& products, const Matrix& m, const Input& in, RowRange rows, const TensorView& bias = {}) {
    const Rows out(in.view.rows, m.rows);
    std::vector<Dispatch> dispatches;
    const MatmulPart part{.weights = m.view, .out = out.view, .bias = bias, .rows = rows};
    products.matmul({&part, 1}, in.view, in.range(), false, dispatches);
    VulkanRig::get().run(dispatches);
    return out.get();
}

// One format, layout and number of columns.
void check_product(const Products& products, Format f, Layout layout, int64_t rows, int64_t k, int64_t columns, RowRange range) {
    CAPTURE(products.name_of(f, layout, k, columns));
    CAPTURE(columns);
    test::Random random(static_cast<uint32_t>(k + columns));
    const Matrix m(random, f, layout, rows, k);
    const Input in(random, columns, k);
    const auto got = multiply(products, m, in, range);
    const bool quantised = products.wants_image(m.view, columns);
    const auto x = in.values(quantised);
    CHECK(differs(m, x, quantised, got, columns, range.begin, range.end_of(m.view), k) == "");
    CHECK(differs(m, x, quantised, got, columns, range.begin, range.end_of(m.view), k - 1) != "");  // sees one term missing
}

constexpr Format kPanelFormats[] = {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::bf16, Format::f16};

TEST_CASE("products: panels times few columns") {
    for (const bool precise : {false, true}) {
        const Products products = make_products(precise);
        for (const Format f : kPanelFormats) {
            if (!precise && !kernels::is_quantised(f)) continue;
            REQUIRE(products.layout_of(f, 768) == Layout::panels);
            check_product(products, f, Layout::panels, 72, 768, 1, {});  // q6_k: padded panels
            check_product(products, f, Layout::panels, 72, 512, 3, {16, 64});
        }
    }
}

TEST_CASE("products: panels times many columns") {
    for (const bool precise : {false, true}) {
        const Products products = make_products(precise);
        for (const Format f : kPanelFormats) {
            if (!precise && !kernels::is_quantised(f)) continue;
            check_product(products, f, Layout::panels, 72, 768, 9, {});
            check_product(products, f, Layout::panels, 72, 256, 66, {16, 72});
        }
        check_product(products, Format::q4_0, Layout::panels, 72, 256, 23, {});  // between their tiles
    }
}

// By matrices: int8 ones as exact as packed dot products, and f16 ones, which round weights (Vulkan lets a conversion go up or
// down) and add up 256 products, then results of those: not more roundings than `terms` says with one for each value.
void check_matrices(const MatrixTuning& t, Format f, int64_t rows, int64_t k, int64_t columns, RowRange range, bool with_bias) {
    const Products products = make_products(false, {.matrix = t});
    const std::string wanted = std::string("matmul_") + kernels::name(f) + (t.kind == MatrixKind::int8 ? "_matrix_int8" : "_matrix_half");
    const std::string name = products.name_of(f, Layout::panels, k, columns);
    if (name != wanted) {
        MESSAGE("not run: " << wanted);
        return;
    }
    CAPTURE(name);
    CAPTURE(columns);
    test::Random random(static_cast<uint32_t>(k + columns));
    const Matrix m(random, f, Layout::panels, rows, k);
    const Input in(random, columns, k);
    std::vector<float> bias(with_bias ? static_cast<size_t>(rows) : 0);
    if (with_bias) random.fill(bias.data(), rows);
    const auto uploaded = VulkanRig::get().upload(with_bias ? bias : std::vector<float>(1));
    const TensorView bias_view = with_bias ? TensorView{uploaded.get(), 0, Format::f32, 1, rows, rows * 4} : TensorView{};
    const auto got = multiply(products, m, in, range, bias_view);
    const bool exact = t.kind == MatrixKind::int8;
    const auto x = in.values(true);
    const auto difference = [&](int64_t terms, double weight_error) {
        return differs(m, x, exact, got, columns, range.begin, range.end_of(m.view), terms, bias, weight_error);
    };
    CHECK(difference(k, exact ? 0 : 0x1p-10) == "");
    CHECK(difference(k - 1, exact ? 0 : 0x1p-10) != "");
}

TEST_CASE("products: panels times many columns by matrices") {
    for (const MatrixKind kind : {MatrixKind::int8, MatrixKind::half})
        for (const Format f : {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k}) {
            // Small tiles: drivers unroll them, and compile long.
            check_matrices({kind, 32, 32, 16, 16}, f, 72, 512, 9, {}, false);
            check_matrices({kind, 32, 32, 16, 16}, f, 72, 256, 34, {16, 72}, true);
        }
    for (const MatrixKind kind : {MatrixKind::int8, MatrixKind::half}) check_matrices({kind, 64, 64, 32, 16}, Format::q4_0, 72, 256, 65, {}, false);
}

// Tiles of f16 round weights, unless they are f16 themselves, and columns, after powers of two, so that no row of x is out of its
// range.
TEST_CASE("products: panels times many columns in tiles of f16") {
    DeviceFacts facts = VulkanRig::get().context->facts();
    if (!facts.float16) {
        MESSAGE("not run: row_powers, matmul_q4_0_half, matmul_q8_0_half, matmul_q4_k_half, matmul_q6_k_half, matmul_f16_half");
        return;
    }
    facts.dot = false;  // no int8 image, which would serve instead
    const Products products(facts, false, {.floats = {.half = true}});
    for (const Format f : {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::f16})
        for (const int64_t columns : {9, 66}) {
            REQUIRE(products.name_of(f, Layout::panels, 256, columns) == std::string("matmul_") + kernels::name(f) + "_half");
            CAPTURE(kernels::name(f));
            CAPTURE(columns);
            test::Random random(static_cast<uint32_t>(columns));
            const Matrix m(random, f, Layout::panels, 72, 256);
            Input in(random, columns, 256);
            auto* x = reinterpret_cast<float*>(in.buffer->mapped());
            for (int64_t t = 0; t < columns; ++t)  // beyond f16 on both sides, and rows of zeros
                for (int64_t i = 0; i < 256; ++i) x[t * (256 + kGap) + i] *= t % 5 == 4 ? 0.0f : std::ldexp(1.0f, static_cast<int>(t % 4) * 40 - 60);
            const auto got = multiply(products, m, in, {16, 72});
            const double off = 0x1p-10 * (1 + 0x1p-10) + (f == Format::f16 ? 0 : 0x1p-10);
            CHECK(differs(m, in.values(false), false, got, columns, 16, 72, 256, {}, off) == "");
            CHECK(differs(m, in.values(false), false, got, columns, 16, 72, 255, {}, off) != "");
        }
    std::vector<float> bad(9 * (256 + kGap), 1.0f);  // what f32 cannot hold stays visible, in its own column
    bad[7] = std::numeric_limits<float>::infinity();
    bad[256 + kGap + 9] = std::numeric_limits<float>::quiet_NaN();
    test::Random random(1);
    const Matrix m(random, Format::f16, Layout::panels, 16, 256);
    const Input in(random, 9, 256);
    std::memcpy(in.buffer->mapped(), bad.data(), bad.size() * 4);
    const auto got = multiply(products, m, in, {});
    CHECK_FALSE(std::isfinite(got[0]));
    CHECK(std::isnan(got[16 + kGap]));
    CHECK(std::isfinite(got[2 * (16 + kGap)]));
}

TEST_CASE("products: a required size of subgroups reaches the pipeline") {
    test::Random random(6);
    const Matrix m(random, Format::q4_0, Layout::panels, 16, 256);
    const Products products(VulkanRig::get().context->facts(), false, {.matvec = {.subgroup = 32}, .dot = {.subgroup = 64}});
    for (const int64_t columns : {1, 9}) {
        const Input in(random, columns, 256);
        const Rows out(columns, 16);
        const MatmulPart part{.weights = m.view, .out = out.view};
        std::vector<Dispatch> dispatches;
        products.matmul({&part, 1}, in.view, in.range(), true, dispatches);
        CHECK(dispatches.back().pipeline.subgroup == (columns == 1 ? 32 : 64));
    }
}

TEST_CASE("products: rows of every format") {
    for (const bool precise : {false, true}) {
        const Products products = make_products(precise);
        for (int i = 0; i < kernels::kFormats; ++i) {
            const auto f = static_cast<Format>(i);
            if (precise && !kernels::is_quantised(f)) continue;
            const int64_t k = kernels::is_quantised(f) ? 256 : 75;  // odd: rows of 16 bits begin between words
            REQUIRE(products.layout_of(f, 75) == Layout::rows);
            check_product(products, f, Layout::rows, 21, k, 2, {});
            check_product(products, f, Layout::rows, 70, k, 9, {3, 69});
        }
    }
    check_product(make_products(false), Format::q5_0, Layout::rows, 21, 96, 2, {});  // no K of the int8 image
}

TEST_CASE("products: a bias") {
    test::Random random(3);
    const Products products = make_products(false);
    for (const Format f : {Format::f16, Format::q8_0})
        for (const int64_t columns : {2, 9}) {
            const Matrix m(random, f, Layout::rows, 20, 256);
            const Input in(random, columns, 256);
            std::vector<float> bias(20);
            random.fill(bias.data(), 20);
            const auto buffer = VulkanRig::get().upload(bias);
            const auto got = multiply(products, m, in, {4, 20}, {buffer.get(), 0, Format::f32, 1, 20, 80});
            const bool quantised = products.wants_image(m.view, columns);
            CHECK(differs(m, in.values(quantised), quantised, got, columns, 4, 20, 256, bias) == "");
            CHECK(differs(m, in.values(quantised), quantised, got, columns, 4, 20, 256) != "");
        }
}

TEST_CASE("products: bits of a row do not depend on the number of columns, its part or the panels of a workgroup") {
    const auto check = [](bool precise, Format f, Layout layout, int64_t most, std::initializer_list<int64_t> fewer) {
        ProductTuning alone;
        alone.matvec.panels = 1;
        const Products products = make_products(precise), other = make_products(precise, alone);
        CAPTURE(products.name_of(f, layout, 512, 1));
        test::Random random(7);
        const Matrix m(random, f, layout, 40, 512);
        const Input in(random, most, 512);
        const auto all = multiply(products, m, in, {});
        for (const int64_t columns : fewer) {
            Input some(random, columns, 512);
            std::memcpy(some.buffer->mapped(), in.buffer->mapped(), some.buffer->bytes);
            const auto got = multiply(columns == 1 ? other : products, m, some, {16, 40});
            for (int64_t t = 0; t < columns; ++t)
                CHECK(std::memcmp(&got[t * 43 + 16], &all[t * 43 + 16], 24 * 4) == 0);
        }
    };
    for (const bool precise : {false, true})
        for (const Format f : kPanelFormats)
            if (precise || kernels::is_quantised(f)) check(precise, f, Layout::panels, 3, {1});
    check(false, Format::q4_0, Layout::panels, 8, {1, 5});
    for (const bool precise : {false, true}) check(precise, Format::q5_k, Layout::rows, 8, {1, 5});
    check(false, Format::f32, Layout::rows, 8, {1, 5});
}

TEST_CASE("products: every tuning that may win a race") {
    for (const MatvecTuning& t : matvec_candidates()) {
        CAPTURE(t.threads);
        CAPTURE(t.panels);
        check_product(make_products(false, {.matvec = t}), Format::q4_0, Layout::panels, 72, 512, 2, {});
    }
    for (const MatmulTuning& t : dot_candidates()) {
        CAPTURE(t.rows);
        CAPTURE(t.columns);
        check_product(make_products(false, {.dot = t}), Format::q4_0, Layout::panels, 72, 256, 65, {});
    }
    // The largest: the tiles are cut as those of int8, which all pass above.
    check_product(make_products(true, {.floats = float_candidates().back()}), Format::q4_0, Layout::panels, 72, 256, 65, {});
    DeviceFacts facts = VulkanRig::get().context->facts();
    if (!facts.float16) return;  // named above
    facts.dot = false;
    test::Random random(2);
    const Matrix m(random, Format::f16, Layout::panels, 72, 256);
    const Input in(random, 65, 256);
    const auto got = multiply(Products(facts, false, {.floats = half_candidates().back()}), m, in, {});
    CHECK(differs(m, in.values(false), false, got, 65, 0, 72, 256, {}, 0x1p-10) == "");
}

TEST_CASE("products: a test's columns take the pipeline that it is for") {
    test::Random random(5);
    const Products products = make_products(false);
    const Matrix m(random, Format::q4_0, Layout::panels, 16, 256);
    const auto pipeline = [&](int64_t columns) {
        const Input in(random, columns, 256);
        const Rows out(columns, 16);
        const MatmulPart part{.weights = m.view, .out = out.view};
        std::vector<Dispatch> dispatches;
        products.matmul({&part, 1}, in.view, in.range(), true, dispatches);
        return dispatches.back().pipeline;
    };
    for (const int64_t columns : {1, 8, 9, 16, 17, 32, 33, 64, 65, 512}) {
        CAPTURE(columns);
        const int64_t tested = products.columns_like(m.view, columns);
        CHECK(tested <= 64);
        CHECK(pipeline(columns) == pipeline(tested));
    }
    CHECK(pipeline(16) != pipeline(17));
}

TEST_CASE("products: a device's own test passes with every format") {
    for (const bool precise : {false, true}) {
        test::VulkanPair pair({.precise = precise, .self_test = true});
        for (int i = 0; i < kernels::kFormats; ++i) {
            const auto f = static_cast<Format>(i);
            const auto host = allocate_host(static_cast<size_t>(kernels::row_bytes(f, 16 * 512)));  // zeros
            REQUIRE(host);
            for (const Use use : {Use::matrix, Use::projection}) {
                const auto placed = pair.gpu->place(view(*host, f, 16, 512), use, {});
                REQUIRE_MESSAGE(placed, placed.error().message);
                const KernelChoice before = pair.gpu->kernels_of(view(*host, f, 16, 512), use);
                CAPTURE(before.few);
                for (const int64_t columns : {2, 9}) {
                    const auto x = pair.random(columns, 512, 1), y = pair.poisoned(columns, 16);
                    pair.run({.shape = {.columns = static_cast<int32_t>(columns), .widest = 512}}, {}, [&](Device& d, bool g) {
                        const MatmulPart part{.weights = g ? placed->view : view(*host, f, 16, 512), .out = g ? y.gpu : y.cpu};
                        d.matmul({&part, 1}, g ? x.gpu : x.cpu);
                    });
                }
                CHECK(pair.gpu->kernels_of(view(*host, f, 16, 512), use).few == before.few);  // none was given up
            }
        }
    }
}

TEST_CASE("products: several parts") {
    test::Random random(11);
    const Products products = make_products(false);
    const Matrix matrices[] = {{random, Format::q4_0, Layout::panels, 40, 256}, {random, Format::f32, Layout::rows, 5, 256},
                               {random, Format::q4_0, Layout::panels, 16, 256}, {random, Format::q6_k, Layout::panels, 33, 256}};
    for (const int64_t columns : {2, 9}) {
        const Input in(random, columns, 256);
        std::vector<Rows> results;
        std::vector<MatmulPart> parts;
        for (const Matrix& m : matrices) {
            results.emplace_back(columns, m.rows);
            parts.push_back({.weights = m.view, .out = results.back().view});
        }
        std::vector<Dispatch> dispatches;
        products.matmul(parts, in.view, in.range(), false, dispatches);
        CHECK(dispatches.size() == (columns == 2 ? 4 : 5));  // q4_0 together
        VulkanRig::get().run(dispatches);
        for (size_t i = 0; i < parts.size(); ++i) {
            const bool quantised = products.wants_image(matrices[i].view, columns);
            CHECK(differs(matrices[i], in.values(quantised), quantised, results[i].get(), columns, 0, matrices[i].rows, 256) == "");
        }
    }
}

TEST_CASE("products: bits of a gated row do not depend on the number of columns") {
    test::Random random(17);
    const Products products = make_products(false);
    const Matrix gate(random, Format::q4_0, Layout::panels, 40, 256), up(random, Format::q4_0, Layout::panels, 40, 256);
    const Input in(random, 8, 256);
    std::vector<float> few;
    for (const int64_t columns : {3, 8}) {  // gated by the product's shader, and by one of its own
        Input some(random, columns, 256);
        std::memcpy(some.buffer->mapped(), in.buffer->mapped(), some.buffer->bytes);
        const Rows result(columns, 40), scratch(columns, 40);
        std::vector<Dispatch> dispatches;
        products.gated_matmul(gate.view, up.view, some.view, some.range(), false, scratch.view, result.view, {}, {}, dispatches);
        CHECK(dispatches.size() == (columns == 3 ? 2 : 3));
        VulkanRig::get().run(dispatches);
        if (columns == 3) few = result.get();
        if (columns == 8) CHECK(std::memcmp(few.data(), result.get().data(), few.size() * 4) == 0);
    }
}

double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x))); }

// gelu's derivative is below 1.13. Its own rounding: Vulkan lets exp(y) be off by 3 + 2 |y| ulp, an ulp of two roundoffs;
// what that does to 1 / (1 + exp(y)) is at most as much, and a division and four products come on top.
TEST_CASE("products: gated matrices") {
    struct Case {
        Format gate, up;
        Layout layout;
        int64_t columns;
    };
    const Case cases[] = {{Format::q4_0, Format::q4_0, Layout::panels, 3}, {Format::q4_0, Format::q6_k, Layout::panels, 1},
                          {Format::q4_0, Format::q4_0, Layout::panels, 9}, {Format::bf16, Format::bf16, Layout::panels, 2},
                          {Format::q3_k, Format::q3_k, Layout::rows, 2}};
    for (const Case& c : cases) {
        CAPTURE(c.columns);
        test::Random random(13);
        const Products products = make_products(false);
        const Matrix gate(random, c.gate, c.layout, 40, 256), up(random, c.up, c.layout, 40, 256);
        const Input in(random, c.columns, 256);
        const Rows result(c.columns, 40), scratch(c.columns, 40);
        std::vector<Dispatch> dispatches;
        products.gated_matmul(gate.view, up.view, in.view, in.range(), false, scratch.view, result.view, {16, 40}, {}, dispatches);
        VulkanRig::get().run(dispatches);
        const auto got = result.get();
        const auto x = in.values(products.wants_image(gate.view, c.columns));
        double worst = 0, worst_swapped = 0;  // in bounds
        for (int64_t t = 0; t < c.columns; ++t)
            for (int64_t r = 0; r < 43; ++r) {
                if (r < 16 || r >= 40) {
                    CHECK(std::isnan(got[t * 43 + r]));
                    continue;
                }
                double g = 0, u = 0, g_size = 0, u_size = 0;
                for (int64_t i = 0; i < 256; ++i) {
                    g += gate.values[r * 256 + i] * x[t * 256 + i];
                    u += up.values[r * 256 + i] * x[t * 256 + i];
                    g_size += std::abs(gate.parts[r * 256 + i] * x[t * 256 + i]);
                    u_size += std::abs(up.parts[r * 256 + i] * x[t * 256 + i]);
                }
                const double exponent = 2 * 0.7978845608 * std::abs(g + 0.044715 * g * g * g);
                const double own = (2 * (3 + 2 * exponent) + 6 * exponent + 12) * test::kUnitRoundoff * std::abs(gelu(g) * u);
                const double bound = 1.13 * error_bound(g_size, 256) * (std::abs(u) + error_bound(u_size, 256)) +
                                     std::abs(gelu(g)) * error_bound(u_size, 256) + own;
                worst = std::max(worst, std::abs(got[t * 43 + r] - gelu(g) * u) / bound);
                worst_swapped = std::max(worst_swapped, std::abs(got[t * 43 + r] - gelu(u) * g) / bound);
            }
        CHECK(worst <= 1);
        CHECK(worst_swapped > 1);
    }
}

// The last workgroup of every 256 rows turns them to int8: the bits that quantising the finished rows gives, run after run.
TEST_CASE("products: a gated product of few columns leaves the int8 image of its results") {
    test::Random random(14);
    const Products products = make_products(false);
    if (!VulkanRig::get().can(Shader::matvec_q4_0_dot)) {
        MESSAGE("not run: matvec_q4_0_dot");
        return;
    }
    auto& rig = VulkanRig::get();
    for (const int64_t columns : {1, 3, 4}) {
        CAPTURE(columns);
        const Matrix gate(random, Format::q4_0, Layout::panels, 768, 256), up(random, Format::q4_0, Layout::panels, 768, 256);
        const Input in(random, columns, 256);
        const Rows scratch(columns, 768);
        const auto result = rig.poisoned(static_cast<size_t>(columns * 768 * 4)), counters = rig.upload(std::vector<uint32_t>(3, 0));
        const auto left = rig.poisoned(product_image_bytes(columns, 768)), again = rig.poisoned(left->bytes);
        const TensorView out = {result.get(), 0, Format::f32, columns, 768, 768 * 4};
        std::vector<Dispatch> dispatches;
        const ResultImage wanted = {range_of(*left, 0, left->bytes), range_of(*counters, 0, counters->bytes)};
        REQUIRE(products.leaves_image(gate.view, up.view, columns, {}));
        CHECK_FALSE(products.leaves_image(gate.view, up.view, columns, {0, 256}));
        products.gated_matmul(gate.view, up.view, in.view, in.range(), false, scratch.view, out, {}, wanted, dispatches);
        dispatches.push_back(quantize_rows(out, range_of(*again, 0, again->bytes)));
        for (int run = 0; run < 2; ++run) {
            std::memset(left->mapped(), 0xFF, left->bytes);
            rig.run(dispatches);
            CHECK(rig.download<uint8_t>(*left) == rig.download<uint8_t>(*again));
            CHECK(rig.download<uint32_t>(*counters) == std::vector<uint32_t>(3, 0));
        }
    }
}

}  // namespace
