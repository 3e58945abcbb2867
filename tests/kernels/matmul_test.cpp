// Matmul of every level and format: against the reference, the reference against Eigen in double, guard pages
// after every buffer, and bits that must not depend on columns, slices or neighbours.
#include <doctest/doctest.h>

#include <Eigen/Core>
#include <cmath>

#include "tests/kernels/fixtures.h"
#include "tests/kernels/walk.h"
#include "tests/support/check_close.h"

using namespace lapidary;
using namespace lapidary::test;
namespace {

using kernels::Format;
using kernels::KernelTable;

const Walk kMatmul({"matmul"}, Compare::values);

// One product with all its buffers against guard pages. Activations exist as f32 and as int8.
struct Problem {
    Format format;
    int64_t rows, k, columns;
    Guarded<uint8_t> weights;
    Guarded<float> x, x_scales, bias, y;
    Guarded<int8_t> xq;
    std::unique_ptr<Scratch> scratch = matmul_scratch();

    Problem(Format f, int64_t row_count, int64_t k_values, int64_t column_count)
        : format(f), rows(row_count), k(k_values), columns(column_count),
          weights(rows * kernels::row_bytes(f, k)), x(columns * k), x_scales(columns * (k / 32)), bias(rows),
          y(columns * rows), xq(columns * k) {
        Random random(static_cast<uint32_t>(rows * 31 + k * 7 + columns));
        random_weights(random, f, rows * k, weights.data());
        random.fill(x.data(), x.size());
        random.fill(bias.data(), rows);
        if (!kernels::is_quantised(f)) return;
        for (int64_t c = 0; c < columns; ++c) {
            reference().quantize(x.data() + c * k, k, xq.data() + c * k, x_scales.data() + c * (k / 32));
        }
    }

    kernels::MatmulArgs args(bool int8) const {
        kernels::MatmulArgs a;
        a.weights = weights.data();
        a.row_bytes = kernels::row_bytes(format, k);
        a.k = k;
        a.x = int8 ? nullptr : x.data();
        a.xq = int8 ? xq.data() : nullptr;
        a.x_scales = int8 ? x_scales.data() : nullptr;
        a.x_stride = k;
        a.columns = columns;
        a.bias = bias.data();
        a.y = y.data();
        a.y_stride = rows;
        a.row_end = rows;
        a.scratch = scratch->data();
        return a;
    }
    std::vector<float> run(const KernelTable& table, bool int8) const {
        std::fill(y.begin(), y.end(), NAN);
        table.matmul[static_cast<int>(format)](args(int8));
        return {y.begin(), y.end()};
    }

    // In double: the product, and sum |w| |x| + |bias|, which scales the error.
    struct Exact {
        Eigen::MatrixXd y, magnitude;
    };
    Exact exact(bool int8) const {
        Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> w(rows, k), input(columns, k);
        for (int64_t r = 0; r < rows; ++r) {
            const uint8_t* row = weights.data() + r * kernels::row_bytes(format, k);
            reference().expand[static_cast<int>(format)](row, k, w.data() + r * k);
        }
        for (int64_t i = 0; i < columns * k; ++i) {
            const int64_t column = i / k, block = i % k / 32;
            input.data()[i] =
                int8 ? static_cast<float>(xq[i]) * x_scales[column * (k / 32) + block] : x[i];
        }
        const Eigen::MatrixXd wd = w.cast<double>(), xd = input.cast<double>();
        const Eigen::VectorXd b = Eigen::Map<const Eigen::VectorXf>(bias.data(), rows).cast<double>();
        Exact e{wd * xd.transpose(), wd.cwiseAbs() * xd.cwiseAbs().transpose()};  // [rows][columns], by column
        e.y.colwise() += b;
        e.magnitude.colwise() += b.cwiseAbs();
        return e;
    }
};

// A chain of k products and sums in f32, plus the bias: each step adds at most one unit roundoff of the
// partial sums, products round once more in the reference (Higham, Accuracy and Stability, 3.1).
double chain_tolerance(int64_t k, double magnitude) { return static_cast<double>(k + 3) * kUnitRoundoff * magnitude; }

void check_against_double(const KernelTable& table, const Problem& p, bool int8) {
    CAPTURE(table.isa);
    CAPTURE(kernels::name(p.format));
    CAPTURE(p.rows);
    CAPTURE(p.k);
    CAPTURE(p.columns);
    CAPTURE(int8);
    const Problem::Exact exact = p.exact(int8);
    const std::vector<float> y = p.run(table, int8);
    const double* magnitude = exact.magnitude.data();
    CHECK(first_difference(y, exact.y.data(), p.rows * p.columns,
                           [&](int64_t i) { return chain_tolerance(p.k, magnitude[i]); }) == "");
}

}  // namespace

TEST_CASE("every matmul of every level agrees with Eigen in double") {
    const int64_t rows[] = {1, 2, 7, 15, 16, 17, 33, 35};
    for (const KernelRow& row : kMatmul.rows()) {
        for (int64_t columns = 1; columns <= 2 * row.tile.columns + 1; ++columns) {  // two register tiles and every rest
            const Problem p(row.weights, rows[columns % 8], (columns % 4 * 3 + 1) * row.multiple, columns);
            check_against_double(*row.table, p, false);
            if (kernels::is_quantised(row.weights)) check_against_double(*row.table, p, true);
        }
    }
}

TEST_CASE("matmul copes with long rows, many columns and every remainder of the plain formats") {
    for (const KernelRow& row : kMatmul.rows()) {
        check_against_double(*row.table, Problem(row.weights, 17, 15360, 1), false);
        check_against_double(*row.table, Problem(row.weights, 3, 2560, 131), kernels::is_quantised(row.weights));
        if (row.multiple > 1) continue;
        for (const int64_t k : {3, 5, 9, 31, 37, 255, 257, 300}) {
            check_against_double(*row.table, Problem(row.weights, 5, k, 1), false);
            check_against_double(*row.table, Problem(row.weights, 18, k, 4), false);
        }
    }
}

// Rows do not influence each other, so any slice, any set of columns gives the same bits as the whole.
TEST_CASE("the bits of an output value do not depend on columns or slices") {
    const int64_t rows = 35, columns = 17, k = 1536;
    for (const KernelRow& row : kMatmul.rows()) {
        const Problem p(row.weights, rows, k, columns);
        const bool int8 = kernels::is_quantised(row.weights);
        const auto matmul = row.table->matmul[static_cast<int>(row.weights)];
        const std::vector<float> whole = p.run(*row.table, int8);
        CAPTURE(row.function);

        std::fill(p.y.begin(), p.y.end(), NAN);
        const int64_t cuts[] = {0, 3, 4, 20, rows};
        for (int i = 0; i < 4; ++i) {
            kernels::MatmulArgs a = p.args(int8);
            a.row_begin = cuts[i];
            a.row_end = cuts[i + 1];
            matmul(a);
        }
        CHECK(std::equal(whole.begin(), whole.end(), p.y.begin()));

        std::fill(p.y.begin(), p.y.end(), NAN);
        for (int64_t first = 0, count = 1; first < columns; first += count, count = count % 7 + 1) {
            kernels::MatmulArgs a = p.args(int8);
            a.columns = std::min(count, columns - first);
            if (int8) {
                a.xq += first * k;
                a.x_scales += first * k / 32;
            } else {
                a.x += first * k;
            }
            a.y += first * rows;
            matmul(a);
        }
        CHECK(std::equal(whole.begin(), whole.end(), p.y.begin()));
    }
}

TEST_CASE("a slice leaves the other rows alone, and strides and odd addresses are respected") {
    const int64_t k = 256, rows = 21, columns = 3, pad = 5;
    for (const KernelRow& row : kMatmul.rows()) {
        const int64_t row_bytes = kernels::row_bytes(row.weights, k) + 3;
        const Problem tight(row.weights, rows, k, columns);
        Guarded<uint8_t> weights(rows * row_bytes - 3);
        for (int64_t r = 0; r < rows; ++r) {
            memcpy(weights.data() + r * row_bytes, tight.weights.data() + r * (row_bytes - 3),
                   static_cast<size_t>(row_bytes - 3));
        }
        Guarded<float> y(columns * (rows + pad) - pad);
        std::fill(y.begin(), y.end(), -7.0f);
        kernels::MatmulArgs a = tight.args(false);
        a.weights = weights.data();
        a.row_bytes = row_bytes;
        a.y = y.data();
        a.y_stride = rows + pad;
        a.row_begin = 2;
        a.row_end = 20;
        row.table->matmul[static_cast<int>(row.weights)](a);
        const std::vector<float> whole = tight.run(*row.table, false);
        CAPTURE(row.function);
        for (int64_t i = 0; i < y.size(); ++i) {
            const int64_t column = i / (rows + pad), r = i % (rows + pad);
            REQUIRE(y[i] == (r >= 2 && r < 20 ? whole[static_cast<size_t>(column * rows + r)] : -7.0f));
        }
    }
}

TEST_CASE("the check notices one wrong weight") {
    const Problem p(Format::q4_0, 4, 64, 2);
    const Problem::Exact exact = p.exact(false);
    p.weights[5] ^= 0x40;  // one bit of one nibble
    const std::vector<float> y = p.run(reference(), false);
    const auto tolerance = [&](int64_t i) { return chain_tolerance(p.k, exact.magnitude.data()[i]); };
    CHECK(first_difference(y, exact.y.data(), 8, tolerance) != "");
}
