// The kernels along one row, every level: norms, GELU gate, rope, soft-cap, multiply-add; against double.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/fixtures.h"
#include "tests/kernels/walk.h"
#include "tests/support/check_close.h"

using namespace lapidary;
using namespace lapidary::test;
namespace {

const Walk kRmsNorm({"rms_norm"}, Compare::values), kLayerNorm({"layer_norm"}, Compare::values),
    kAddNorm({"add_norm"}, Compare::values), kGeglu({"geglu"}, Compare::values), kSoftCap({"soft_cap"}, Compare::values),
    kGatesAndCaps({"geglu", "soft_cap"}, Compare::values), kRope({"rope"}, Compare::values),
    kScaleAdd({"scale_add"}, Compare::bits);

constexpr double u = kUnitRoundoff;
const int64_t kLengths[] = {1, 2, 7, 8, 15, 16, 17, 33, 100, 3840};

Guarded<float>& filled(Guarded<float>& values, uint32_t seed, float scale) {
    Random(seed).fill(values.data(), values.size(), scale);
    return values;
}

double inverse_rms(const Guarded<float>& x, double eps) {
    double sum = 0;
    for (const float v : x) sum += double{v} * v;
    return 1 / std::sqrt(sum / static_cast<double>(x.size()) + eps);
}

double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

}  // namespace

// The sum of n squares in f32 is off by at most n u, half of which reaches the root; a few more roundings.
TEST_CASE("rms_norm, with and without weight, also in place") {
    for (const KernelRow& row : kRmsNorm.rows()) {
        for (const int64_t n : kLengths) {
            Guarded<float> x(n), w(n), y(n);
            filled(x, 1, 3);
            filled(w, 2, 2);
            const double scale = inverse_rms(x, 1e-6);
            const double relative = (static_cast<double>(n) / 2 + 6) * u;
            std::vector<double> with(static_cast<size_t>(n)), without(with);
            for (int64_t i = 0; i < n; ++i) {
                without[static_cast<size_t>(i)] = x[i] * scale;
                with[static_cast<size_t>(i)] = x[i] * scale * w[i];
            }
            const auto near = [&](const std::vector<double>& expected) {
                return first_difference(y, expected, n, [&](int64_t i) {
                    return relative * std::abs(expected[static_cast<size_t>(i)]);
                });
            };
            CAPTURE(row.isa);
            CAPTURE(n);
            row.table->rms_norm(x.data(), w.data(), n, 1e-6f, y.data());
            CHECK(near(with) == "");
            row.table->rms_norm(x.data(), nullptr, n, 1e-6f, y.data());
            CHECK(near(without) == "");
            row.table->rms_norm(x.data(), w.data(), n, 1e-6f, x.data());
            memcpy(y.data(), x.data(), static_cast<size_t>(n) * 4);
            CHECK(near(with) == "");
        }
    }
}

// The mean is off by at most n u mean|x|, the variance by (n + 2) u relative and the square of that.
TEST_CASE("layer_norm") {
    for (const KernelRow& row : kLayerNorm.rows()) {
        for (const int64_t n : kLengths) {
            Guarded<float> x(n), w(n), b(n), y(n);
            filled(x, 3, 2);
            filled(w, 4, 2);
            filled(b, 5, 1);
            for (float& v : x) v += 1;
            double mean = 0, mean_abs = 0, variance = 0;
            for (const float v : x) mean += v / static_cast<double>(n), mean_abs += std::abs(v) / static_cast<double>(n);
            for (const float v : x) variance += (v - mean) * (v - mean) / static_cast<double>(n);
            const double scale = 1 / std::sqrt(variance + 1e-5), dn = static_cast<double>(n);
            std::vector<double> expected(static_cast<size_t>(n)), tolerance(expected);
            const double mean_error = (dn + 2) * u * mean_abs;
            const double variance_error = ((dn + 4) * u * variance + mean_error * mean_error +
                                           2 * mean_error * std::sqrt(variance)) / (variance + 1e-5);
            for (int64_t i = 0; i < n; ++i) {
                const double centred = x[i] - mean;
                const auto at = static_cast<size_t>(i);
                expected[at] = centred * scale * w[i] + b[i];
                tolerance[at] = std::abs(scale * w[i]) * (mean_error + std::abs(centred) * (variance_error + 6 * u) +
                                                          2 * u * std::abs(x[i])) + 4 * u * std::abs(b[i]);
            }
            CAPTURE(row.isa);
            CAPTURE(n);
            row.table->layer_norm(x.data(), w.data(), b.data(), n, 1e-5f, y.data());
            CHECK(first_difference(y, expected, n, [&](int64_t i) { return tolerance[static_cast<size_t>(i)]; }) == "");
            row.table->layer_norm(x.data(), w.data(), b.data(), n, 1e-5f, x.data());
            CHECK(x.same_bytes(y));
        }
    }
}

TEST_CASE("add_norm adds the normed branch and scales") {
    for (const KernelRow& row : kAddNorm.rows()) {
        for (const int64_t n : kLengths) {
            Guarded<float> x(n), y(n), w(n);
            filled(x, 6, 2);
            filled(y, 7, 5);
            filled(w, 8, 2);
            const double inverse = inverse_rms(y, 1e-6), factor = 0.75;
            std::vector<double> expected(static_cast<size_t>(n)), tolerance(expected);
            for (int64_t i = 0; i < n; ++i) {
                const double branch = y[i] * inverse * w[i];
                const auto at = static_cast<size_t>(i);
                expected[at] = (x[i] + branch) * factor;
                tolerance[at] = ((static_cast<double>(n) / 2 + 8) * u * std::abs(branch) + 3 * u * std::abs(x[i])) * factor;
            }
            CAPTURE(row.isa);
            CAPTURE(n);
            row.table->add_norm(x.data(), y.data(), w.data(), n, 1e-6f, 0.75f);
            CHECK(first_difference(x, expected, n, [&](int64_t i) { return tolerance[static_cast<size_t>(i)]; }) == "");
        }
    }
}

// tanh to 2 u absolute, its argument to 4 u relative (z (1 - tanh^2 z) < 0.45), halved and times |x|; then
// three roundings of the result, which |x| bounds: 4 u |x| |up| in all.
TEST_CASE("geglu follows tanh-GELU in double over the whole range") {
    const int64_t n = 4001;
    for (const KernelRow& row : kGeglu.rows()) {
        Guarded<float> gate(n), up(n), y(n);
        filled(up, 9, 4);
        std::vector<double> expected(static_cast<size_t>(n)), tolerance(expected);
        for (int64_t i = 0; i < n; ++i) {
            const float t = static_cast<float>(i - 2000) / 2000.0f;
            gate[i] = i % 2 == 0 ? 12 * t : 2 * t * t * t;
            expected[static_cast<size_t>(i)] = gelu(gate[i]) * up[i];
            tolerance[static_cast<size_t>(i)] = 4 * u * std::abs(double{gate[i]} * up[i]);
        }
        CAPTURE(row.isa);
        const auto near = [&](int64_t i) { return tolerance[static_cast<size_t>(i)]; };
        row.table->geglu(gate.data(), up.data(), n, y.data());
        CHECK(first_difference(y, expected, n, near) == "");
        row.table->geglu(gate.data(), up.data(), n, gate.data());
        CHECK(gate.same_bytes(y));
    }
}

TEST_CASE("geglu and soft_cap at the ends of f32") {
    for (const KernelRow& row : kGatesAndCaps.rows()) {
        CAPTURE(row.isa);
        const float huge = std::numeric_limits<float>::max();
        float x[5] = {huge, -huge, INFINITY, 0.0f, NAN};
        const float one[5] = {1, 1, 1, 1, 1};
        float y[5];
        row.table->geglu(x, one, 5, y);
        CHECK(y[0] == huge);
        CHECK(y[1] == 0.0f);
        CHECK(y[2] == INFINITY);
        CHECK(y[3] == 0.0f);
        CHECK(std::isnan(y[4]));
        row.table->soft_cap(x, 5, 30.0f);
        CHECK(x[0] == 30.0f);
        CHECK(x[1] == -30.0f);
        CHECK(x[2] == 30.0f);
        CHECK(x[3] == 0.0f);
        CHECK(std::isnan(x[4]));
    }
}

// tanh to 2 u, its argument to u (times 0.45), one rounding of the product: 4 u cap.
TEST_CASE("soft_cap follows tanh in double") {
    const int64_t n = 2003;
    for (const KernelRow& row : kSoftCap.rows()) {
        Guarded<float> x(n);
        std::vector<double> expected(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; ++i) {
            x[i] = static_cast<float>(i - 1000) * 0.2f;
            expected[static_cast<size_t>(i)] = 30 * std::tanh(x[i] / 30.0);
        }
        row.table->soft_cap(x.data(), n, 30.0f);
        CAPTURE(row.isa);
        CHECK(first_difference(x, expected, n, [](int64_t) { return 4 * u * 30; }) == "");
    }
}

TEST_CASE("rope turns the pairs it is given and leaves the rest") {
    for (const KernelRow& row : kRope.rows()) {
        for (const int64_t n : {2, 6, 32, 34, 256, 512}) {
            for (const int64_t pairs : {n / 2, n / 8}) {
                Guarded<float> x(n), c(pairs), s(pairs);
                filled(x, 10, 3);
                std::vector<double> expected(x.begin(), x.end()), tolerance(static_cast<size_t>(n), 0.0);
                for (int64_t j = 0; j < pairs; ++j) {
                    c[j] = static_cast<float>(std::cos(0.3 * static_cast<double>(j)));
                    s[j] = static_cast<float>(std::sin(0.3 * static_cast<double>(j)));
                    const double a = x[j], b = x[j + n / 2];
                    const auto first = static_cast<size_t>(j), second = static_cast<size_t>(j + n / 2);
                    expected[first] = a * c[j] - b * s[j];
                    expected[second] = b * c[j] + a * s[j];
                    tolerance[first] = tolerance[second] = 2 * u * (std::abs(a) + std::abs(b));
                }
                CAPTURE(row.isa);
                CAPTURE(n);
                CAPTURE(pairs);
                row.table->rope(x.data(), n, pairs, c.data(), s.data());
                CHECK(first_difference(x, expected, n,
                                       [&](int64_t i) { return tolerance[static_cast<size_t>(i)]; }) == "");
            }
        }
    }
}

TEST_CASE("scale_add is one product and one sum") {
    for (const KernelRow& row : kScaleAdd.rows()) {
        for (const int64_t n : kLengths) {
            Guarded<float> x(n), y(n), sum(n);
            filled(x, 11, 1);
            filled(y, 12, 1);
            memcpy(sum.data(), x.data(), static_cast<size_t>(n) * 4);
            row.table->scale_add(sum.data(), 1.7f, y.data(), n);
            for (int64_t i = 0; i < n; ++i) REQUIRE(sum[i] == x[i] * 1.7f + y[i]);
            memcpy(sum.data(), x.data(), static_cast<size_t>(n) * 4);
            row.table->scale_add(sum.data(), -0.3f, nullptr, n);
            for (int64_t i = 0; i < n; ++i) REQUIRE(sum[i] == x[i] * -0.3f);
        }
    }
}
