// Divergence against closed forms, and statistics against numbers worked out by hand.
#include "model/tools/kl_stats.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;

namespace {

// Logits are f32: one of size 5 is off by 3e-7, and so is every log-probability made from it.
constexpr double kLogitRounding = 1e-6;

std::vector<float> logs_of(std::vector<double> p, double shift = 0) {
    std::vector<float> row;
    for (const double v : p) row.push_back(static_cast<float>(std::log(v) + shift));
    return row;
}

std::vector<float> random_row(std::mt19937& gen, size_t n) {
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> row(n);
    for (float& v : row) v = normal(gen);
    return row;
}

}  // namespace

TEST_CASE("kl_stats: a divergence worked out by hand, wherever the logits' zero lies") {
    for (const double shift : {0.0, 4.0, -3.0}) {
        const KlSample s = compare_rows(logs_of({0.5, 0.25, 0.25}), logs_of({0.25, 0.5, 0.25}, shift), 0);
        CHECK(std::abs(s.kl - 0.25 * std::log(2)) < kLogitRounding);
        CHECK_FALSE(s.same_top);
        CHECK(std::abs(s.base_logprob - std::log(0.5)) < kLogitRounding);
        CHECK(std::abs(s.other_logprob - std::log(0.25)) < kLogitRounding);
    }
}

TEST_CASE("kl_stats: equal rows diverge by nothing, others by more than nothing") {
    std::mt19937 gen(7);
    for (int i = 0; i < 20; ++i) {
        const auto a = random_row(gen, 1000), b = random_row(gen, 1000);
        CHECK(compare_rows(a, a, -1).kl == 0);
        CHECK(compare_rows(a, a, -1).same_top);
        CHECK(compare_rows(a, b, -1).kl > 1);  // sigma^2 = 9 nats with endless rows
    }
}

TEST_CASE("kl_stats: logits too large for exp are fine") {
    const std::vector<float> a = {2000, 1999}, b = {-1999, -2000};
    CHECK(std::abs(log_sum_exp(a) - (2000 + std::log1p(std::exp(-1.0)))) < 1e-12 * 2000);
    CHECK(std::abs(compare_rows(a, b, 0).kl) < 1e-12);
}

TEST_CASE("kl_stats: a small change shows at second order, far below f32's resolution of a sum of p") {
    // q = p + d at two places: KL = sum d^2 / (2p) + O(d^3).
    std::vector<double> p(1000, 0.001), q = p;
    q[0] += 1e-6;
    q[1] -= 1e-6;
    const double want = 2 * 1e-12 / (2 * 0.001);  // 1e-9
    // Each log-probability is off by half an ulp of ln(1000) = 2.4e-7, relative to a change of 1e-3: 1
    // permille.
    CHECK(std::abs(compare_rows(logs_of(p), logs_of(q), -1).kl - want) < 2e-3 * want);
}

TEST_CASE("kl_stats: means, errors and quantiles") {
    const std::vector<double> v = {1, 2, 3, 4};
    CHECK(mean_of(v).value == 2.5);
    CHECK(std::abs(mean_of(v).error - std::sqrt(5.0 / 3 / 4)) < 1e-15);
    CHECK(mean_of(std::vector<double>{3}).error == 0);
    CHECK(mean_of({}).value == 0);
    CHECK(quantile(v, 0) == 1);
    CHECK(quantile(v, 0.5) == 2.5);
    CHECK(quantile(v, 1) == 4);
    CHECK(std::abs(quantile(v, 0.9) - 3.7) < 1e-12);
    CHECK(quantile({}, 0.5) == 0);
}

TEST_CASE("kl_stats: figures of two positions") {
    KlStats stats;
    unwrap(stats.add(logs_of({0.5, 0.25, 0.25}), logs_of({0.25, 0.5, 0.25}),
                     0));  // p of the target 1/2, now 1/4
    unwrap(stats.add(logs_of({0.5, 0.25, 0.25}), logs_of({0.5, 0.25, 0.25}), 1));  // 1/4, still 1/4
    unwrap(stats.add(logs_of({0.5, 0.25, 0.25}), logs_of({0.5, 0.25, 0.25}), -1));
    const Divergence d = stats.figures();
    const double kl = 0.25 * std::log(2);
    CHECK(d.positions == 3);
    CHECK(d.targets == 2);
    CHECK(std::abs(d.mean.value - kl / 3) < kLogitRounding);
    CHECK(std::abs(d.mean.error - kl / 3) < kLogitRounding);  // of (kl, 0, 0): sqrt(kl^2 (4+1+1)/9 / 2 / 3)
    CHECK(d.median == 0);
    CHECK(std::abs(d.max - kl) < kLogitRounding);
    CHECK(std::abs(d.p90 - 0.8 * kl) < kLogitRounding);
    CHECK(std::abs(d.same_top.value - 2.0 / 3) < 1e-12);
    CHECK(std::abs(d.p_mean.value + 0.125) < kLogitRounding);
    CHECK(std::abs(d.p_rms.value - 0.25 / std::sqrt(2)) < kLogitRounding);
    CHECK(std::abs(d.base_perplexity.value - std::sqrt(8.0)) < 10 * kLogitRounding);  // of 1/2 and 1/4
    CHECK(std::abs(d.perplexity.value - 4) < 10 * kLogitRounding);                    // of 1/4 and 1/4
    CHECK(d.perplexity.error < 10 * kLogitRounding);
    CHECK(std::abs(d.ratio.value - std::sqrt(2.0)) < 10 * kLogitRounding);
    CHECK(std::abs(d.ratio.error - std::sqrt(2.0) * std::log(2) / 2) < 10 * kLogitRounding);
}

TEST_CASE("kl_stats: nothing added, nothing claimed") {
    const Divergence d = KlStats().figures();
    CHECK(d.positions == 0);
    CHECK(d.mean.value == 0);
    CHECK(d.max == 0);
}

TEST_CASE("kl_stats: what cannot be compared is an error and is not counted") {
    KlStats stats;
    const std::vector<float> row = {0, 1, 2}, shorter = {0, 1}, nan = {0, NAN, 1},
                             infinite = {0, INFINITY, 1};
    CHECK(stats.add(row, shorter, 0).error().code == Errc::invalid_argument);
    CHECK(stats.add({}, {}, -1).error().code == Errc::invalid_argument);
    CHECK(stats.add(row, row, 3).error().code == Errc::invalid_argument);
    for (const auto& bad : {nan, infinite}) {
        CHECK(stats.add(bad, row, 0).error().code == Errc::bad_model_file);
        CHECK(stats.add(row, bad, 0).error().code == Errc::bad_model_file);
    }
    CHECK(stats.count() == 0);
}
