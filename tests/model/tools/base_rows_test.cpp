// Reduced rows against whole ones, and which rows are kept whole.
#include "model/tools/base_rows.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;

namespace {

// A reduced row holds log-probabilities as f32: off by half an ulp of at most 16, weighted with p, sum 1.
constexpr double kLogprobRounding = 1e-6;

std::vector<float> random_row(std::mt19937& gen, size_t n, float sigma = 3) {
    std::normal_distribution<float> normal(0, sigma);
    std::vector<float> row(n);
    for (float& v : row) v = normal(gen);
    return row;
}

std::vector<float> near_row(std::mt19937& gen, std::vector<float> row) {
    std::normal_distribution<float> normal(0, 0.1f);
    for (float& v : row) v += normal(gen);
    return row;
}

constexpr uint64_t kRowBytes = 1000 * sizeof(float);

}  // namespace

TEST_CASE("base_rows: a row that keeps every token loses nothing") {
    std::mt19937 gen(1);
    for (int i = 0; i < 10; ++i) {
        const auto a = random_row(gen, 200), b = near_row(gen, a);
        const KlSample want = compare_rows(a, b, 17), got = compare_reduced(reduce_row(a, 17), b, 17);
        CHECK(std::abs(got.kl - want.kl) < kLogprobRounding);
        CHECK(got.same_top == want.same_top);
        CHECK(got.base_logprob == want.base_logprob);
        CHECK(got.other_logprob == want.other_logprob);
    }
}

TEST_CASE("base_rows: the tokens not kept act as one") {
    // p = (1/2, 1/4, 1/8, 1/8), q = (1/4, 1/4, 3/8, 1/8); two kept: cells (1/2, 1/4, 1/4) and (1/4, 1/4,
    // 1/2).
    const auto row = [](std::vector<double> p) {
        std::vector<float> out;
        for (const double v : p) out.push_back(static_cast<float>(std::log(v)));
        return out;
    };
    const ReducedRow base = reduce_row(row({0.125, 0.25, 0.5, 0.125}), -1, 2);
    CHECK(base.ids == std::vector<int32_t>{1, 2});
    CHECK(base.top == 2);
    CHECK(std::abs(base.tail - 0.25) < kLogprobRounding);
    const KlSample s = compare_reduced(base, row({0.375, 0.25, 0.25, 0.125}), -1);
    CHECK(std::abs(s.kl - 0.25 * std::log(2)) < kLogprobRounding);  // ln 2 (1/2 - 1/4)
    CHECK_FALSE(s.same_top);
    CHECK_FALSE(s.has_target);
}

TEST_CASE("base_rows: equal logits keep the lower ids, and the first is the top") {
    const std::vector<float> flat(10, 1.0f);
    const ReducedRow base = reduce_row(flat, -1, 3);
    CHECK(base.ids == std::vector<int32_t>{0, 1, 2});
    CHECK(base.top == 0);
    CHECK(compare_reduced(base, flat, -1).same_top);
}

TEST_CASE("base_rows: a reduced row never overstates, and mostly understates") {
    std::mt19937 gen(2);
    int below = 0;
    for (int i = 0; i < 50; ++i) {
        const auto a = random_row(gen, 5000), b = near_row(gen, a);
        const double whole = compare_rows(a, b, -1).kl,
                     reduced = compare_reduced(reduce_row(a, -1), b, -1).kl;
        CHECK(reduced <= whole + kLogprobRounding);
        below += reduced < whole - kLogprobRounding;
    }
    CHECK(below > 25);
}

TEST_CASE("base_rows: a tail that the other model rules out stays finite") {
    std::vector<float> a(1000, 0.0f), b(1000, -2000.0f);
    b[0] = 0;
    CHECK(std::isfinite(compare_reduced(reduce_row(a, 0), b, 0).kl));
}

TEST_CASE(
    "base_rows: whole rows fill the memory given, spread over the text; what is lost is measured on them") {
    std::mt19937 gen(3);
    std::vector<std::vector<float>> base, other;
    for (int i = 0; i < 40; ++i) {
        base.push_back(random_row(gen, 1000));
        other.push_back(near_row(gen, base.back()));
    }
    const auto kl_of = [&](uint64_t bytes, int64_t reduced, double& understated, double& tail) {
        BaseRows rows(40, 1000, bytes);
        CHECK(rows.reduced() == reduced);
        for (size_t i = 0; i < 40; ++i) unwrap(rows.put(base[i], 0));
        std::vector<double> kl;
        for (size_t i = 0; i < 40; ++i) kl.push_back(rows.compare(static_cast<int64_t>(i), other[i], 0).kl);
        understated = rows.understated().value;
        tail = rows.tail_mass();
        return kl;
    };
    double lost = 0, tail = 0;
    const auto whole = kl_of(40 * kRowBytes, 0, lost, tail);
    CHECK(lost == 0);
    CHECK(tail == 0);
    for (size_t i = 0; i < 40; ++i) CHECK(whole[i] == compare_rows(base[i], other[i], 0).kl);

    const auto some = kl_of(10 * kRowBytes + 17, 30, lost, tail);
    double want = 0;
    for (size_t i = 0; i < 40; ++i) {
        const double reduced = compare_reduced(reduce_row(base[i], 0), other[i], 0).kl;
        CHECK(some[i] == (i % 4 == 3 ? whole[i] : reduced));
        if (i % 4 == 3) want += (whole[i] - reduced) / 10;
    }
    CHECK(std::abs(lost - want) < 1e-12);
    CHECK(lost > 0);
    CHECK(tail > 0);
    CHECK(tail < 0.5);

    kl_of(kRowBytes - 1, 40, lost, tail);
    CHECK(lost == 0);  // nothing to measure it on
}

TEST_CASE("base_rows: a row that holds no numbers is refused") {
    BaseRows rows(2, 1000, 0);
    std::vector<float> row(1000, 1.0f);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
        row[500] = bad;
        CHECK(rows.put(row, 0).error().code == Errc::bad_model_file);
    }
}
