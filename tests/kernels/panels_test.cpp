// Panels: packing against the source, the int8 image against its definition, and the product: every level
// against the reference bit for bit, the reference against double on weights expanded from the source.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/blocks.h"
#include "kernels/panel_units.h"
#include "tests/kernels/fixtures.h"
#include "tests/kernels/walk.h"
#include "tests/support/check_close.h"

using namespace lapidary;
using namespace lapidary::test;
namespace {

using kernels::Format;
using kernels::KernelTable;
using kernels::kPanel;

const Walk kPack({"pack_panel", "unpack_panel_row"}, Compare::bits), kQuantizePanel({"quantize_panel"}, Compare::bits),
    kRoundBf16({"round_bf16"}, Compare::values), kPanelMatmul({"panel_matmul"}, Compare::bits);

int slot(Format f) { return static_cast<int>(f); }
int64_t panel_count(int64_t rows) { return (rows + kPanel - 1) / kPanel; }

// A matrix as rows of blocks and as panels, each against a guard page; sizes of panels are multiples of 64.
struct Matrix {
    Format format;
    int64_t rows, k;
    Guarded<uint8_t> blocks, panels;

    Matrix(Format f, int64_t row_count, int64_t k_values, uint32_t seed, const KernelTable& table = reference())
        : format(f),
          rows(row_count),
          k(k_values),
          blocks(rows * kernels::row_bytes(f, k)),
          panels(panel_count(rows) * kernels::panel_bytes(f, k)) {
        Random random(seed);
        random_weights(random, f, rows * k, blocks.data());
        pack(table);
    }
    void pack(const KernelTable& table) const {
        const int64_t stride = kernels::row_bytes(format, k);
        for (int64_t p = 0; p < panel_count(rows); ++p) {
            table.pack_panel[slot(format)](blocks.data() + p * kPanel * stride, stride, k,
                                                 std::min(kPanel, rows - p * kPanel), panel(p));
        }
    }
    uint8_t* panel(int64_t p) const { return panels.data() + p * kernels::panel_bytes(format, k); }
};

struct Activations {
    int64_t columns, k, stride;
    Guarded<float> x;
    Guarded<int8_t> q;
    Guarded<int16_t> sums;
    Guarded<int32_t> offsets, eighths;
    Guarded<float> scales;
    Guarded<uint16_t> rounded;

    Activations(int64_t column_count, int64_t k_values)
        : columns(column_count),
          k(k_values),
          stride(kernels::panel_q_stride(k)),
          x(columns * k),
          q((columns - 1) * stride + k),
          sums(columns * k / 16),
          offsets(columns * k / 32),
          eighths(columns * k / 8),
          scales(columns * k / 256),
          rounded(columns * k) {}
    kernels::PanelInput image() const {
        return {q.data(), sums.data(), offsets.data(), eighths.data(), scales.data(), stride, x.data(), rounded.data(), k, columns, k};
    }
    void quantize(const KernelTable& table) const {
        std::fill(q.begin(), q.end(), int8_t{0});
        for (int64_t c = 0; c < columns; ++c) table.quantize_panel(x.data() + c * k, c, image());
        if (table.round_bf16) table.round_bf16(x.data(), columns * k, rounded.data());
    }
    // What the weights are multiplied with: the int8 image, or the values themselves.
    double value(Format f, int64_t c, int64_t i) const {
        if (!kernels::is_quantised(f)) return double{x[c * k + i]};
        return int{q[c * stride + i]} * double{scales[c * (k / 256) + i / 256]};
    }
};

Activations& random_activations(Activations& a, uint32_t seed) {
    Random random(seed);
    for (int64_t g = 0; g < a.x.size() / 16; ++g)
        random.fill(a.x.data() + g * 16, 16, random.uniform(0.1f, 9));
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
        table.panel_matmul[slot(w.format)](args());
        return *this;
    }
};

// Products that have the bits of the reference; those of bf16 activations are another function.
std::vector<KernelRow> exact_rows(Format f) {
    auto rows = kPanelMatmul.of(f);
    std::erase_if(rows, [](const KernelRow& row) { return !row.exact; });
    return rows;
}

}  // namespace

TEST_CASE("a panel gives back the blocks of its rows, and zeros where there is no row") {
    for (const KernelRow& functions : kPack.rows()) {
        for (const int64_t rows : {1, 7, 15, 16, 17, 33}) {
            const Format f = functions.weights;
            const int64_t k = 3 * 256;
            const Matrix m(f, rows, k, static_cast<uint32_t>(rows), *functions.table);
            CAPTURE(functions.function);
            CAPTURE(rows);
            CHECK(m.panels.same_bytes(Matrix(f, rows, k, static_cast<uint32_t>(rows)).panels));
            Guarded<uint8_t> row_blocks(kernels::row_bytes(f, k));
            std::vector<float> values(static_cast<size_t>(k));
            for (int64_t row = 0; row < panel_count(rows) * kPanel; ++row) {
                std::fill(row_blocks.begin(), row_blocks.end(), uint8_t{0xa5});
                functions.table->unpack_panel_row[slot(f)](m.panel(row / kPanel), k, row % kPanel, row_blocks.data());
                if (row < rows) {
                    REQUIRE(memcmp(row_blocks.data(), m.blocks.data() + row * row_blocks.size(),
                                   static_cast<size_t>(row_blocks.size())) == 0);
                } else {
                    reference().expand[slot(f)](row_blocks.data(), k, values.data());
                    for (const float v : values) REQUIRE(v == 0.0f);
                }
            }
        }
    }
}

TEST_CASE("a panel takes the bytes of its source, but for the padding to 64") {
    for (const Format f : kPanelMatmul.formats()) {
        for (int64_t k = 256; k < 4096; k += 256) {
            const int64_t source = 16 * kernels::row_bytes(f, k);
            CHECK(kernels::panel_bytes(f, k) >= source);
            CHECK(kernels::panel_bytes(f, k) < source + 64);
            CHECK(kernels::panel_bytes(f, k) % 64 == 0);
        }
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
        for (int64_t b = 0; b < a.k / 16; ++b) {
            const float* x = a.x.data() + c * a.k;
            float largest = 0;
            for (int64_t i = b / 16 * 256; i < (b / 16 + 1) * 256; ++i)
                largest = std::max(largest, std::abs(x[i]));
            const float scale = a.scales[c * (a.k / 256) + b / 16];
            REQUIRE(scale == largest / 127.0f);
            const int8_t* q = a.q.data() + c * a.stride + b * 16;
            int32_t sum = 0;
            for (int64_t i = 0; i < 16; ++i) {
                sum += q[i];
                // Half a step, and the roundings of the scale and the quotient at up to 127 steps.
                const double error = std::abs(int{q[i]} * double{scale} - double{x[b * 16 + i]});
                REQUIRE(error <= double{scale} * (0.5 + 127 * 2 * kUnitRoundoff));
                REQUIRE(std::abs(int{q[i]}) <= 127);
            }
            REQUIRE(a.sums[c * (a.k / 16) + b] == sum);
            for (int64_t half = 0; half < 2; ++half)
                REQUIRE(a.eighths[c * (a.k / 8) + 2 * b + half] == -32 * std::accumulate(q + half * 8, q + half * 8 + 8, 0));
            if (b % 2 == 1) REQUIRE(a.offsets[c * (a.k / 32) + b / 2] == -8 * (sum + a.sums[c * (a.k / 16) + b - 1]));
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
    CHECK(expected.q[256] == 0);  // group 1 is all zero
    CHECK(expected.scales[1] == 0.0f);
    CHECK(expected.q[512] == -64);  // -63.5 goes to the even neighbour
    CHECK(expected.scales[3] == 0.0f);
    CHECK(std::isnan(expected.scales[5]));
    CHECK(expected.scales[6] == INFINITY);
    for (const KernelRow& row : kQuantizePanel.rows()) {
        Activations a(2, expected.k);
        memcpy(a.x.data(), expected.x.data(), static_cast<size_t>(a.x.size()) * sizeof(float));
        a.quantize(*row.table);
        CAPTURE(row.isa);
        CHECK(a.q.same_bytes(expected.q));
        CHECK(a.sums.same_bytes(expected.sums));
        CHECK(a.offsets.same_bytes(expected.offsets));
        CHECK(a.eighths.same_bytes(expected.eighths));
        for (int64_t i = 0; i < a.scales.size(); ++i) {
            CHECK((a.scales[i] == expected.scales[i] ||
                   (std::isnan(a.scales[i]) && std::isnan(expected.scales[i]))));
        }
    }
}

TEST_CASE("panel_matmul: every level gives the bits of the reference, whatever rows, columns and K") {
    for (const Format f : kPanelMatmul.formats()) {
        int64_t tiles = 0;  // columns of two register tiles of any level
        for (const KernelRow& row : kPanelMatmul.of(f)) tiles = std::max<int64_t>(tiles, 2 * row.tile.columns);
        for (int64_t i = 0; i < tiles + 18; ++i) {  // every rest of a tile, then more columns than share anything
            const int64_t rows = i * 7 % 50 + (i % 9 == 8 ? 130 : 1), columns = i <= tiles ? i + 1 : tiles + (i - tiles) * 5;
            const int64_t multiple = kPanelMatmul.of(f).front().multiple;
            const int64_t k = multiple * (i % std::max<int64_t>(5, 272 / multiple) + 1);
            const Matrix w(f, rows, k, static_cast<uint32_t>(i));
            Activations x(columns, k);
            const Product expected(w, random_activations(x, static_cast<uint32_t>(i)));
            expected.run(reference());
            for (const KernelRow& row : exact_rows(f)) {
                CAPTURE(kernels::name(f));
                CAPTURE(row.isa);
                CAPTURE(rows);
                CAPTURE(columns);
                CAPTURE(k);
                REQUIRE(Product(w, x).run(*row.table).y.same_bytes(expected.y));
            }
        }
    }
}

TEST_CASE("panel_matmul: the largest sums of integers") {
    for (const Format f : kPanelMatmul.formats()) {
        if (!kernels::is_quantised(f)) continue;
        for (int64_t rows = 1; rows <= 50; rows += 7) {
            for (const int64_t columns : {1, 2, 3, 4, 5, 6, 7, 8, 9}) {
                const Matrix w(f, rows, 512, 5);
                Random random(static_cast<uint32_t>(rows));
                for (int64_t i = 0; i < w.blocks.size(); ++i) {
                    const int64_t at = i % kernels::block_bytes(f);
                    const HalfFields halves = half_fields(f);
                    const bool half = (at >= halves.first && at < halves.first + 2) ||
                                      (halves.second >= 0 && at >= halves.second && at < halves.second + 2);
                    if (!half) w.blocks[i] = rows % 3 == 0 ? 0x00 : rows % 3 == 1 ? 0xff : random.byte() & 1 ? 0x80 : 0x7f;
                }
                w.pack(reference());
                Activations x(columns, 512);
                random_activations(x, 6);
                const bool positive = rows % 2 == 1;
                std::fill(x.q.begin(), x.q.end(), static_cast<int8_t>(positive ? 127 : -127));
                std::fill(x.sums.begin(), x.sums.end(), static_cast<int16_t>(positive ? 16 * 127 : -16 * 127));
                std::fill(x.offsets.begin(), x.offsets.end(), positive ? -8 * 32 * 127 : 8 * 32 * 127);
                std::fill(x.eighths.begin(), x.eighths.end(), positive ? -32 * 8 * 127 : 32 * 8 * 127);
                const Product expected(w, x);
                expected.run(reference());
                for (const KernelRow& row : exact_rows(f)) {
                    CAPTURE(kernels::name(f));
                    CAPTURE(row.isa);
                    CAPTURE(rows);
                    CAPTURE(columns);
                    REQUIRE(Product(w, x).run(*row.table).y.same_bytes(expected.y));
                }
            }
        }
    }
}

TEST_CASE("panel_matmul: slices of panels and of columns give the bits of the whole, and touch nothing else") {
    const int64_t rows = 75, columns = 13, k = 768;
    for (const Format f : kPanelMatmul.formats()) {
        const Matrix w(f, rows, k, 8);
        Activations x(columns, k);
        random_activations(x, 9);
        for (const KernelRow& functions : kPanelMatmul.of(f)) {
            x.quantize(*functions.table);
            CAPTURE(kernels::name(f));
            CAPTURE(functions.isa);
            const Product whole(w, x), cut(w, x), middle(w, x);
            whole.run(*functions.table);
            for (const auto& [begin, end] : {std::pair{0, 1}, {1, 4}, {4, 4}, {4, 5}}) {
                kernels::PanelMatmulArgs a = cut.args();
                a.panel_begin = begin;
                a.panel_end = end;
                functions.table->panel_matmul[slot(f)](a);
            }
            CHECK(cut.y.same_bytes(whole.y));
            kernels::PanelMatmulArgs a = middle.args();
            a.panel_begin = 1;
            a.panel_end = 3;
            functions.table->panel_matmul[slot(f)](a);
            for (int64_t i = 0; i < middle.y.size(); ++i) {
                const int64_t row = i % middle.stride;
                REQUIRE(middle.y[i] == (row >= 16 && row < 48 ? whole.y[i] : -7.0f));
            }
            for (int64_t c = 0; c < columns; ++c) {
                Activations one(1, k);
                memcpy(one.x.data(), x.x.data() + c * k, static_cast<size_t>(k) * sizeof(float));
                one.quantize(*functions.table);
                const Product alone(w, one);
                alone.run(*functions.table);
                REQUIRE(memcmp(alone.y.data(), whole.y.data() + c * whole.stride,
                               static_cast<size_t>(rows) * 4) == 0);
            }
        }
    }
}

// Integer sums are exact. In blocks a term passes at most 8 fused steps of its group and K / 256 over the groups;
// in K formats the integer, its product with d, the minimum and the groups round; in floats every K does.
// Each rounding is relative to the sum of magnitudes (Higham, Accuracy and Stability, 3.1).
TEST_CASE("panel_matmul: the reference agrees with double") {
    const int64_t rows = 21, columns = 5, k = 1536;
    for (const Format f : kPanelMatmul.formats()) {
        const Matrix w(f, rows, k, 10);
        Activations x(columns, k);
        const Product product(w, random_activations(x, 11));
        product.run(reference());
        Guarded<float> weights(rows * k), offsets(rows * k);
        reference().expand[slot(f)](w.blocks.data(), rows * k, weights.data());
        std::fill(offsets.begin(), offsets.end(), 0.0f);
        if (f == Format::q4_k) {  // the minimum is the value of nibble 0
            const Matrix zero(f, rows, k, 10);
            for (int64_t b = 0; b < rows * k / 256; ++b)
                memset(reinterpret_cast<kernels::BlockQ4K*>(zero.blocks.data())[b].qs, 0, 128);
            reference().expand[slot(f)](zero.blocks.data(), rows * k, offsets.data());
        }
        const auto steps = static_cast<double>(kernels::is_quantised(f) ? 8 + k / 256 : k);
        const auto compare = [&](int64_t c, int64_t row) {
            double sum = 0, magnitude = 0;
            for (int64_t i = 0; i < k; ++i) {
                const double q = x.value(f, c, i), weight = double{weights[row * k + i]};
                sum += weight * q;
                magnitude += (std::abs(weight) + 2 * std::abs(double{offsets[row * k + i]})) * std::abs(q);
            }
            return std::abs(double{product.y[c * product.stride + row]} - sum) <=
                   (steps + 1 + 3) * kUnitRoundoff * magnitude;  // 3: the expanded weight's own roundings
        };
        CAPTURE(kernels::name(f));
        for (int64_t c = 0; c < columns; ++c) {
            for (int64_t row = 0; row < rows; ++row) REQUIRE(compare(c, row));
        }
        product.y[0] *= 1.01f;
        CHECK_FALSE(compare(0, 0));
    }
}

// To the nearest bf16, ties to even; denormal inputs may become zero.
TEST_CASE("round_bf16: the nearest value, and infinities and NaN as they are") {
    for (const KernelRow& row : kRoundBf16.rows()) {
        for (const int64_t n : {1, 15, 16, 31, 32, 33, 100}) {
            Guarded<float> x(n);
            Guarded<uint16_t> y(n);
            Random random(static_cast<uint32_t>(n));
            random.fill(x.data(), n, 100);
            x[0] = kernels::bits_float(0x3f808000);  // 1 + 2^-8: halfway, goes to the even 1
            row.table->round_bf16(x.data(), n, y.data());
            CHECK(y[0] == 0x3f80);
            for (int64_t i = 1; i < n; ++i) {
                const double error = std::abs(double{kernels::bfloat_to_float(y[i])} - double{x[i]});
                REQUIRE(error <= std::ldexp(std::abs(double{x[i]}), -8));
            }
        }
        const float special[] = {INFINITY, -INFINITY, NAN, 0.0f};
        uint16_t out[4];
        row.table->round_bf16(special, 4, out);
        CHECK(out[0] == 0x7f80);
        CHECK(out[1] == 0xff80);
        CHECK(std::isnan(kernels::bfloat_to_float(out[2])));
        CHECK(out[3] == 0);
    }
}

// Products of two bf16 are exact in f32; each of the K additions rounds once.
TEST_CASE("panel_matmul: bf16 activations agree with double on the rounded values") {
    for (const KernelRow& functions : kPanelMatmul.of(Format::bf16)) {
        if (!functions.bf16) continue;
        for (int64_t i = 0; i < 24; ++i) {
            const int64_t rows = i * 5 % 40 + 1, columns = i % 13 + 1, k = 16 * (i % 9 + 1);
            const Matrix w(Format::bf16, rows, k, static_cast<uint32_t>(i));
            Activations x(columns, k);
            random_activations(x, static_cast<uint32_t>(i)).quantize(*functions.table);
            const Product product(w, x);
            product.run(*functions.table);
            Guarded<float> weights(rows * k);
            reference().expand[slot(Format::bf16)](w.blocks.data(), rows * k, weights.data());
            const auto compare = [&](int64_t c, int64_t row) {
                double sum = 0, magnitude = 0;
                for (int64_t j = 0; j < k; ++j) {
                    const double term =
                        double{weights[row * k + j]} * double{kernels::bfloat_to_float(x.rounded[c * k + j])};
                    sum += term;
                    magnitude += std::abs(term);
                }
                return std::abs(double{product.y[c * product.stride + row]} - sum) <=
                       static_cast<double>(k) * kUnitRoundoff * magnitude;
            };
            for (int64_t c = 0; c < columns; ++c)
                for (int64_t row = 0; row < rows; ++row) REQUIRE(compare(c, row));
            product.y[0] *= 1.01f;
            CHECK_FALSE(compare(0, 0));
        }
    }
}

TEST_CASE("panel_matmul: a bad activation spoils its own column only") {
    for (const Format f : kPanelMatmul.formats()) {
        const Matrix w(f, 18, 512, 14);
        Activations x(10, 512);
        random_activations(x, 15);
        x.x[3 * 512 + 300] = NAN;
        for (const KernelRow& functions : kPanelMatmul.of(f)) {
            x.quantize(*functions.table);
            const Product product(w, x);
            product.run(*functions.table);
            for (int64_t c = 0; c < 10; ++c) {
                for (int64_t row = 0; row < 18; ++row) {
                    REQUIRE(std::isnan(product.y[c * product.stride + row]) == (c == 3));
                }
            }
        }
    }
}
