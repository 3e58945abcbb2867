// Panels: packing against the source values, the int8 image against its definition, and the product: every
// level against the reference bit for bit, the reference against double and against the matmul of rows.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/panel_units.h"
#include "tests/kernels/fixtures.h"
#include "tests/support/check_close.h"

namespace lapidary::test {
namespace {

using kernels::Format;
using kernels::KernelTable;
using kernels::kPanel;

constexpr int kQ4 = static_cast<int>(Format::q4_0);

std::vector<const KernelTable*> panel_levels() {
    std::vector<const KernelTable*> tables;
    for (const KernelTable* table : runnable_levels()) {
        if (table->panel_matmul[kQ4]) tables.push_back(table);
    }
    return tables;
}

int64_t panel_count(int64_t rows) { return (rows + kPanel - 1) / kPanel; }

// A matrix as rows of q4_0 and as panels, each against a guard page; sizes of panels are multiples of 64.
struct Matrix {
    int64_t rows, k;
    Guarded<uint8_t> blocks, panels;

    Matrix(int64_t row_count, int64_t k_values, uint32_t seed)
        : rows(row_count),
          k(k_values),
          blocks(rows * kernels::row_bytes(Format::q4_0, k)),
          panels(panel_count(rows) * kernels::panel_bytes(Format::q4_0, k)) {
        Random random(seed);
        random_weights(random, Format::q4_0, rows * k, blocks.data());
        const int64_t stride = kernels::row_bytes(Format::q4_0, k);
        for (int64_t p = 0; p < panel_count(rows); ++p) {
            reference().pack_panel[kQ4](blocks.data() + p * kPanel * stride, stride, k,
                                        std::min(kPanel, rows - p * kPanel), panel(p));
        }
    }
    uint8_t* panel(int64_t p) const { return panels.data() + p * kernels::panel_bytes(Format::q4_0, k); }

    // Straight from the drawing in panels.h: the value is (nibble - 8) d.
    int integer(int64_t row, int64_t at) const {
        const uint8_t* unit = panel(row / kPanel) + at / 64 * 576;
        const uint8_t byte = unit[64 + at % 64 / 8 * 64 + 4 * (row % kPanel) + at % 4];
        return (at % 8 < 4 ? byte & 15 : byte >> 4) - 8;
    }
    float scale(int64_t row, int64_t at) const {
        const uint8_t* unit = panel(row / kPanel) + at / 64 * 576;
        return kernels::half_to_float(kernels::load_u16(unit + at % 64 / 32 * 32 + 2 * (row % kPanel)));
    }
};

struct Activations {
    int64_t columns, k;
    Guarded<float> x;
    Guarded<int8_t> q;
    Guarded<int32_t> sums;
    Guarded<float> scales;

    Activations(int64_t column_count, int64_t k_values)
        : columns(column_count),
          k(k_values),
          x(columns * k),
          q(columns * k),
          sums(columns * k / 32),
          scales(columns * k / 256) {}
    kernels::PanelInput image() const { return {q.data(), sums.data(), scales.data(), columns, k}; }
    void quantize(const KernelTable& table) const {
        for (int64_t c = 0; c < columns; ++c) table.quantize_panel(x.data() + c * k, c, image());
    }
};

Activations& random_activations(Activations& a, uint32_t seed) {
    Random random(seed);
    for (int64_t g = 0; g < a.x.size() / 256; ++g)
        random.fill(a.x.data() + g * 256, 256, random.uniform(0.1f, 9));
    a.quantize(reference());
    return a;
}

// Output with a gap after each column.
struct Product {
    const Matrix& w;
    const Activations& x;
    int64_t stride;
    Guarded<float> y;

    Product(const Matrix& matrix, const Activations& activations)
        : w(matrix),
          x(activations),
          stride(matrix.rows + 3),
          y(activations.columns * stride - 3) {
        std::fill(y.begin(), y.end(), -7.0f);
    }
    kernels::PanelMatmulArgs args() const {
        kernels::PanelMatmulArgs a;
        a.panels = w.panels.data();
        a.x = x.image();
        a.y = y.data();
        a.y_stride = stride;
        a.rows = w.rows;
        a.panel_end = panel_count(w.rows);
        return a;
    }
    const Product& run(const KernelTable& table) const {
        table.panel_matmul[kQ4](args());
        return *this;
    }
};

}  // namespace

TEST_CASE("a packed panel holds the values of its rows, and nothing where there is no row") {
    for (const int64_t rows : {1, 7, 15, 16, 17, 33}) {
        const int64_t k = 512;
        const Matrix m(rows, k, static_cast<uint32_t>(rows));
        CAPTURE(rows);
        std::vector<float> expected(static_cast<size_t>(rows * k));
        reference().expand[kQ4](m.blocks.data(), rows * k, expected.data());
        for (int64_t row = 0; row < panel_count(rows) * kPanel; ++row) {
            for (int64_t at = 0; at < k; ++at) {
                const float value = static_cast<float>(m.integer(row, at)) * m.scale(row, at);
                REQUIRE(value == (row < rows ? expected[static_cast<size_t>(row * k + at)] : 0.0f));
                if (row >= rows)
                    REQUIRE((m.integer(row, at) == 0 && kernels::float_bits(m.scale(row, at)) == 0));
            }
        }
    }
}

TEST_CASE("packing takes rows at any distance and address") {
    const int64_t k = 256, rows = 5, bytes = kernels::row_bytes(Format::q4_0, k), stride = bytes + 3;
    const Matrix m(rows, k, 1);
    Guarded<uint8_t> apart(rows * stride - 3);
    for (int64_t r = 0; r < rows; ++r) {
        memcpy(apart.data() + r * stride, m.blocks.data() + r * bytes, static_cast<size_t>(bytes));
    }
    for (const KernelTable* table : panel_levels()) {
        Guarded<uint8_t> panel(kernels::panel_bytes(Format::q4_0, k));
        table->pack_panel[kQ4](apart.data(), stride, k, rows, panel.data());
        CAPTURE(table->isa);
        CHECK(panel.same_bytes(m.panels));
    }
}

TEST_CASE("quantize_panel: scale, sums and half a step, in the places that the image names") {
    Activations a(3, 768);
    Random random(2);
    for (int64_t i = 0; i < a.x.size(); ++i) {
        a.x[i] = random.uniform(-1, 1) * std::ldexp(1.0f, static_cast<int>(i / 256) * 9 - 40);
    }
    a.quantize(reference());
    for (int64_t c = 0; c < a.columns; ++c) {
        for (int64_t b = 0; b < a.k / 32; ++b) {
            const float* x = a.x.data() + c * a.k;
            float largest = 0;
            for (int64_t i = b / 8 * 256; i < (b / 8 + 1) * 256; ++i)
                largest = std::max(largest, std::abs(x[i]));
            const float scale = a.scales[b / 8 * a.columns + c];
            REQUIRE(scale == largest / 127.0f);
            const int8_t* q = a.q.data() + (b * a.columns + c) * 32;
            int32_t sum = 0;
            for (int64_t i = 0; i < 32; ++i) {
                sum += q[i];
                // Half a step, and the roundings of the scale and the quotient at up to 127 steps.
                const double error = std::abs(int{q[i]} * double{scale} - double{x[b * 32 + i]});
                REQUIRE(error <= double{scale} * (0.5 + 127 * 2 * kUnitRoundoff));
                REQUIRE(std::abs(int{q[i]}) <= 127);
            }
            REQUIRE(a.sums[b * a.columns + c] == sum);
        }
    }
}

TEST_CASE("quantize_panel: every level gives the same bits, also for zeros, ties, tiny and bad values") {
    Activations expected(2, 256 * 7);
    Random random(3);
    random.fill(expected.x.data(), expected.x.size());
    for (int64_t c = 0; c < 2; ++c) {
        float* x = expected.x.data() + c * expected.k;
        for (int64_t i = 256; i < 512; ++i) x[i] = i % 2 ? 0.0f : -0.0f;
        for (int64_t i = 512; i < 767; ++i) x[i] = static_cast<float>(i % 128) - 63.5f;
        x[767] = 127;
        for (int64_t i = 768; i < 1024; ++i)
            x[i] = std::numeric_limits<float>::denorm_min() * static_cast<float>(i);
        for (int64_t i = 1024; i < 1280; ++i)
            x[i] = std::numeric_limits<float>::max() * (i % 2 ? 1.0f : -0.7f);
        x[1280 + 9] = NAN;
        x[1536 + 200] = -INFINITY;
    }
    expected.quantize(reference());
    CHECK(expected.q[(8 * 2) * 32] == 0);  // group 1 is all zero
    CHECK(expected.scales[1 * 2] == 0.0f);
    CHECK(expected.q[16 * 2 * 32] == -64);  // -63.5 goes to the even neighbour
    CHECK(expected.scales[3 * 2] == 0.0f);
    CHECK(std::isnan(expected.scales[5 * 2]));
    CHECK(expected.scales[6 * 2] == INFINITY);
    for (const KernelTable* table : panel_levels()) {
        Activations a(2, expected.k);
        memcpy(a.x.data(), expected.x.data(), static_cast<size_t>(a.x.size()) * sizeof(float));
        a.quantize(*table);
        CAPTURE(table->isa);
        CHECK(a.q.same_bytes(expected.q));
        CHECK(a.sums.same_bytes(expected.sums));
        for (int64_t i = 0; i < a.scales.size(); ++i) {
            CHECK((a.scales[i] == expected.scales[i] ||
                   (std::isnan(a.scales[i]) && std::isnan(expected.scales[i]))));
        }
    }
}

TEST_CASE("panel_matmul: every level gives the bits of the reference, whatever rows, columns and K") {
    for (int64_t i = 0; i < 70; ++i) {
        const int64_t rows = i * 7 % 50 + 1, columns = i + 1, k = 256 * (i % 6 + 1);
        const Matrix w(rows, k, static_cast<uint32_t>(i));
        Activations x(columns, k);
        const Product expected(w, random_activations(x, static_cast<uint32_t>(i)));
        expected.run(reference());
        for (const KernelTable* table : panel_levels()) {
            CAPTURE(table->isa);
            CAPTURE(rows);
            CAPTURE(columns);
            CAPTURE(k);
            REQUIRE(Product(w, x).run(*table).y.same_bytes(expected.y));
        }
    }
}

TEST_CASE("panel_matmul: few columns with every number of panels up to four, and the largest sums") {
    for (int64_t rows = 1; rows <= 50; rows += 7) {
        for (int64_t columns = 1; columns <= 9; ++columns) {
            const Matrix w(rows, 512, 5);
            for (int64_t i = 0; i < w.panels.size(); ++i) {
                if (i % 576 >= 64) w.panels[i] = i % 5 ? 0x00 : 0xff;  // -8 and 7
            }
            Activations x(columns, 512);
            random_activations(x, 6);
            std::fill(x.q.begin(), x.q.end(), static_cast<int8_t>(rows % 2 ? 127 : -127));
            std::fill(x.sums.begin(), x.sums.end(), rows % 2 ? 32 * 127 : -32 * 127);
            const Product expected(w, x);
            expected.run(reference());
            for (const KernelTable* table : panel_levels()) {
                CAPTURE(table->isa);
                CAPTURE(rows);
                CAPTURE(columns);
                REQUIRE(Product(w, x).run(*table).y.same_bytes(expected.y));
            }
        }
    }
}

TEST_CASE(
    "panel_matmul: slices of panels and of columns give the bits of the whole, and touch nothing else") {
    const int64_t rows = 75, columns = 13, k = 768;
    const Matrix w(rows, k, 8);
    Activations x(columns, k);
    random_activations(x, 9);
    for (const KernelTable* table : panel_levels()) {
        CAPTURE(table->isa);
        const Product whole(w, x), cut(w, x), middle(w, x);
        whole.run(*table);
        for (const auto& [begin, end] : {std::pair{0, 1}, {1, 4}, {4, 4}, {4, 5}}) {
            kernels::PanelMatmulArgs a = cut.args();
            a.panel_begin = begin;
            a.panel_end = end;
            table->panel_matmul[kQ4](a);
        }
        CHECK(cut.y.same_bytes(whole.y));
        kernels::PanelMatmulArgs a = middle.args();
        a.panel_begin = 1;
        a.panel_end = 3;
        table->panel_matmul[kQ4](a);
        for (int64_t i = 0; i < middle.y.size(); ++i) {
            const int64_t row = i % middle.stride;
            REQUIRE(middle.y[i] == (row >= 16 && row < 48 ? whole.y[i] : -7.0f));
        }
        for (int64_t c = 0; c < columns; ++c) {
            Activations one(1, k);
            memcpy(one.x.data(), x.x.data() + c * k, static_cast<size_t>(k) * sizeof(float));
            one.quantize(*table);
            const Product alone(w, one);
            alone.run(*table);
            REQUIRE(memcmp(alone.y.data(), whole.y.data() + c * whole.stride,
                           static_cast<size_t>(rows) * 4) == 0);
        }
    }
}

// The integer sums are exact. A term passes at most 8 fused steps within its group and K / 256 over the
// groups, each rounding once (Higham, Accuracy and Stability, 3.1).
TEST_CASE("panel_matmul: the reference agrees with double") {
    const int64_t rows = 21, columns = 5, k = 1536;
    const Matrix w(rows, k, 10);
    Activations x(columns, k);
    const Product product(w, random_activations(x, 11));
    product.run(reference());
    const auto steps = static_cast<double>(8 + k / 256);
    const auto compare = [&](int64_t c, int64_t row) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < k; ++i) {
            const double q =
                int{x.q[(i / 32 * columns + c) * 32 + i % 32]} * double{x.scales[i / 256 * columns + c]};
            const double term = w.integer(row, i) * double{w.scale(row, i)} * q;
            sum += term;
            magnitude += std::abs(term);
        }
        return std::abs(double{product.y[c * product.stride + row]} - sum) <=
               (steps + 1) * kUnitRoundoff * magnitude;
    };
    for (int64_t c = 0; c < columns; ++c) {
        for (int64_t row = 0; row < rows; ++row) REQUIRE(compare(c, row));
    }
    product.y[0] *= 1.001f;
    CHECK_FALSE(compare(0, 0));
}

// Rows take the same int8 values as f32, so both paths compute the same product with different roundings.
TEST_CASE("panel_matmul agrees with the matmul of rows on the dequantised activations") {
    const int64_t rows = 19, columns = 6, k = 768;
    const Matrix w(rows, k, 12);
    Activations x(columns, k);
    const Product product(w, random_activations(x, 13));
    Guarded<float> dequantised(columns * k), y(columns * rows), weights(rows * k);
    for (int64_t i = 0; i < columns * k; ++i) {
        const int64_t c = i / k, at = i % k;
        dequantised[i] = static_cast<float>(x.q[(at / 32 * columns + c) * 32 + at % 32]) *
                         x.scales[at / 256 * columns + c];
    }
    reference().expand[kQ4](w.blocks.data(), rows * k, weights.data());
    const auto scratch = matmul_scratch(columns);
    kernels::MatmulArgs a;
    a.weights = w.blocks.data();
    a.row_bytes = kernels::row_bytes(Format::q4_0, k);
    a.k = k;
    a.x = dequantised.data();
    a.x_stride = k;
    a.columns = columns;
    a.y = y.data();
    a.y_stride = rows;
    a.row_end = rows;
    a.scratch = scratch->data();
    for (const KernelTable* table : panel_levels()) {
        CAPTURE(table->isa);
        table->matmul[kQ4](a);
        product.run(*table);
        for (int64_t i = 0; i < columns * rows; ++i) {
            const int64_t c = i / rows, row = i % rows;
            double magnitude = 0;
            for (int64_t j = 0; j < k; ++j)
                magnitude += std::abs(double{weights[row * k + j]} * double{dequantised[c * k + j]});
            // K products and sums there, 8 + K / 256 fused steps here, one rounding of the dequantised value.
            const double tolerance = static_cast<double>(k + 3 + 8 + k / 256) * kUnitRoundoff * magnitude;
            REQUIRE(std::abs(double{product.y[c * product.stride + row]} - double{y[i]}) <= tolerance);
        }
    }
}

TEST_CASE("panel_matmul: a bad activation spoils its own column only") {
    const Matrix w(18, 512, 14);
    Activations x(10, 512);
    random_activations(x, 15);
    x.x[3 * 512 + 300] = NAN;
    x.quantize(reference());
    for (const KernelTable* table : panel_levels()) {
        const Product product(w, x);
        product.run(*table);
        for (int64_t c = 0; c < 10; ++c) {
            for (int64_t row = 0; row < 18; ++row) {
                REQUIRE(std::isnan(product.y[c * product.stride + row]) == (c == 3));
            }
        }
    }
}

TEST_CASE("panel sizes: as many bytes as the source") {
    CHECK(kernels::panel_bytes(Format::q4_0, 256) == 16 * kernels::row_bytes(Format::q4_0, 256));
}

}  // namespace lapidary::test
