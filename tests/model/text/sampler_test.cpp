// The sampler: greedy, each cut against a sorting oracle, the distribution of draws, log probabilities.
#include "model/text/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Sampler make(SamplerOptions options, size_t size) {
    auto sampler = Sampler::create(std::move(options), static_cast<int32_t>(size));
    if (!sampler) FAIL(sampler.error().message);
    return std::move(*sampler);
}

std::vector<int32_t> draws(Sampler& sampler, const std::vector<float>& logits, int count) {
    std::vector<int32_t> ids;
    for (int i = 0; i < count; ++i) ids.push_back(sampler.sample(logits)->id);
    return ids;
}

// The definition with a full sort: probability of every id after temperature, top-k, top-p, min-p.
std::vector<double> oracle(const std::vector<float>& logits, const SamplerOptions& options) {
    std::vector<double> scaled(logits.size());
    for (size_t i = 0; i < logits.size(); ++i) scaled[i] = logits[i] / double{options.temperature};
    for (const int32_t id : options.suppressed) scaled[id] = -kInfinity;
    std::vector<size_t> order(logits.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scaled[a] > scaled[b]; });
    const auto probabilities = [&] {
        std::vector<double> p(scaled.size());
        double sum = 0;
        for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(scaled[i] - scaled[order[0]]);
        for (double& value : p) value /= sum;
        return p;
    };
    if (options.top_k > 0 && options.top_k < static_cast<int>(logits.size())) {
        const double threshold = scaled[order[options.top_k - 1]];
        for (double& value : scaled) value = value < threshold ? -kInfinity : value;
    }
    const auto before_top_p = probabilities();
    double mass = 0;
    for (const size_t i : order) {
        if (options.top_p < 1.0f && mass >= options.top_p) scaled[i] = -kInfinity;
        mass += before_top_p[i];
    }
    const auto before_min_p = probabilities();
    for (size_t i = 0; i < scaled.size(); ++i) {
        if (before_min_p[i] < options.min_p * before_min_p[order[0]]) scaled[i] = -kInfinity;
    }
    return probabilities();
}

// Pearson's statistic of `count` draws; every id with probability zero must stay unseen.
double chi_square(Sampler& sampler, const std::vector<float>& logits, const std::vector<double>& wanted,
                  int count) {
    std::vector<double> seen(logits.size(), 0.0);
    for (const int32_t id : draws(sampler, logits, count)) seen[id] += 1.0;
    double statistic = 0.0;
    for (size_t i = 0; i < seen.size(); ++i) {
        const double mean = wanted[i] * count;
        if (mean == 0.0) {
            CHECK(seen[i] == 0.0);
        } else {
            statistic += (seen[i] - mean) * (seen[i] - mean) / mean;
        }
    }
    return statistic;
}

}  // namespace

TEST_CASE("random stream: the published SplitMix64 numbers for seed 1234567") {
    RandomStream random(1234567);
    CHECK(random.next() == 6457827717110365317u);
    CHECK(random.next() == 3203168211198807973u);
    CHECK(random.next() == 9817491932198370423u);
    for (int i = 0; i < 1000; ++i) {
        const double unit = random.next_unit();
        CHECK((unit >= 0.0 && unit < 1.0));
    }
}

TEST_CASE("sampler: greedy takes the greatest, the lowest id among equals, never a suppressed one") {
    const std::vector<float> logits = {1.0f, 7.0f, 3.0f, 7.0f, 9.0f};
    Sampler greedy = make({.temperature = 0.0f}, 5);
    CHECK(greedy.sample(logits)->id == 4);
    Sampler suppressing = make({.temperature = 0.0f, .suppressed = {4}}, 5);
    CHECK(suppressing.sample(logits)->id == 1);
}

TEST_CASE("sampler: draws follow the definition") {
    const std::vector<float> logits = {2.0f, 1.0f, 0.5f, 2.0f, -1.0f, 0.0f, 3.0f, -30.0f};
    const SamplerOptions cases[] = {
        {.temperature = 1.0f, .suppressed = {7}},
        {.temperature = 0.5f, .suppressed = {7}},
        {.temperature = 3.0f, .suppressed = {6, 7}},
        {.temperature = 1.0f, .top_k = 3},
        {.temperature = 1.0f, .top_k = 2},  // ids 0 and 3 tie for the second place: both stay
        {.temperature = 1.0f, .top_p = 0.7f},
        {.temperature = 1.0f, .top_p = 0.01f},
        {.temperature = 1.0f, .min_p = 0.2f},
        {.temperature = 1.5f, .top_k = 5, .top_p = 0.9f, .min_p = 0.15f},
    };
    for (SamplerOptions options : cases) {
        for (const uint64_t seed : {1u, 2u, 3u}) {
            options.seed = seed;
            Sampler sampler = make(options, logits.size());
            // With at most 7 degrees of freedom Pearson's statistic passes 40.5 once in a million.
            CHECK(chi_square(sampler, logits, oracle(logits, options), 20000) < 40.5);
        }
    }
}

TEST_CASE("sampler: the kept set equals the sorting oracle's on large rows") {
    test::TestRandom random(17);
    for (int i = 0; i < 30; ++i) {
        std::vector<float> logits(3000);
        for (float& logit : logits) logit = static_cast<float>(random.below(4000)) / 400.0f;  // many ties
        SamplerOptions options{.temperature = 0.7f};
        options.top_k = random.below(2) == 0 ? 0 : static_cast<int>(1 + random.below(100));
        options.top_p = random.below(2) == 0 ? 1.0f : 0.05f;
        options.min_p = random.below(2) == 0 ? 0.0f : 0.5f;
        options.seed = random.next();
        const auto wanted = oracle(logits, options);
        Sampler sampler = make(options, logits.size());
        for (const int32_t id : draws(sampler, logits, 500)) REQUIRE(wanted[id] > 0.0);
    }
}

TEST_CASE("sampler: a seed gives the same draws, another seed others") {
    std::vector<float> logits(100, 0.0f);
    Sampler a = make({.seed = 5}, 100);
    Sampler b = make({.seed = 5}, 100);
    Sampler c = make({.seed = 6}, 100);
    const auto first = draws(a, logits, 50);
    CHECK(first == draws(b, logits, 50));
    CHECK(first != draws(c, logits, 50));
    // All weights are 1, so a draw is floor(100 * u): no exponential, the same everywhere.
    RandomStream random(5);
    for (const int32_t id : first) CHECK(id == static_cast<int32_t>(random.next_unit() * 100.0));
}

TEST_CASE("sampler: tiny temperatures and infinities") {
    const std::vector<float> logits = {-kInfinity, 1.0f, 1.001f, -kInfinity};
    Sampler cold = make({.temperature = 1e-30f, .top_k = 2, .top_p = 0.5f}, 4);
    for (const int32_t id : draws(cold, logits, 20)) CHECK(id == 2);
    Sampler hot = make({.temperature = 1e30f}, 4);
    std::set<int32_t> seen;
    for (const int32_t id : draws(hot, logits, 200)) seen.insert(id);
    CHECK(seen == std::set<int32_t>{1, 2});
}

TEST_CASE("sampler: log probabilities of the model's own distribution") {
    const std::vector<float> logits = {0.0f, 2.0f, 2.0f, 1.0f, 5.0f};
    Sampler sampler =
        make({.temperature = 0.0f, .suppressed = {4}, .want_logprobs = true, .top_alternatives = 3}, 5);
    const auto sample = sampler.sample(logits);
    REQUIRE(sample.has_value());
    const double total = std::log(std::exp(0.0) + 2 * std::exp(2.0) + std::exp(1.0));
    // One rounding to float of a number of magnitude below 4.
    const double tolerance = 4 * std::numeric_limits<float>::epsilon();
    CHECK(std::abs(sample->logprob - (2.0 - total)) <= tolerance);
    REQUIRE(sample->alternatives.size() == 3);
    CHECK(sample->alternatives[0].id == 1);
    CHECK(sample->alternatives[1].id == 2);
    CHECK(sample->alternatives[2].id == 3);
    CHECK(std::abs(sample->alternatives[2].logprob - (1.0 - total)) <= tolerance);
    Sampler all = make({.temperature = 0.0f, .want_logprobs = true, .top_alternatives = 100}, 5);
    CHECK(all.sample(logits)->alternatives.size() == 5);
    Sampler none = make({.temperature = 0.0f, .top_alternatives = 3}, 5);
    CHECK(none.sample(logits)->alternatives.empty());
}

TEST_CASE("sampler: bad options and bad logits") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const auto refused = [](SamplerOptions options, const std::string& part_of_message) {
        const auto result = Sampler::create(std::move(options), 8);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Errc::invalid_argument);
        CHECK_MESSAGE(result.error().message.find(part_of_message) != std::string::npos,
                      result.error().message);
    };
    refused({.temperature = -1.0f}, "temperature");
    refused({.temperature = nan}, "temperature");
    refused({.temperature = kInfinity}, "temperature");
    refused({.top_k = -1}, "top_k is -1");
    refused({.top_p = 0.0f}, "top_p");
    refused({.top_p = 1.5f}, "top_p");
    refused({.top_p = nan}, "top_p");
    refused({.min_p = 1.5f}, "min_p");
    refused({.suppressed = {8}}, "suppressed id 8");
    refused({.suppressed = {-1}}, "suppressed id -1");
    refused({.top_alternatives = -1}, "alternatives");
    CHECK_FALSE(Sampler::create({}, 0).has_value());

    Sampler sampler = make({}, 3);
    CHECK(sampler.sample(std::vector<float>{1.0f, 2.0f}).error().code == Errc::invalid_argument);
    CHECK(sampler.sample(std::vector<float>{1.0f, nan, 2.0f}).error().message.find("token 1 is NaN") !=
          std::string::npos);
    CHECK(sampler.sample(std::vector<float>{1.0f, 2.0f, kInfinity}).error().code == Errc::bad_model_file);
    CHECK(sampler.sample(std::vector<float>(3, -kInfinity)).error().code == Errc::bad_model_file);
}

TEST_CASE("a model that forbids all it could say is the file's fault, found before a prompt is computed") {
    const auto mute = Sampler::create({.suppressed = {0, 2, 1, 1}}, 3);
    REQUIRE_FALSE(mute);
    CHECK(mute.error().code == Errc::bad_model_file);
    CHECK(Sampler::create({.suppressed = {0, 2, 2}}, 3));
}

// The best few of a row that may be chosen, as a device gives them.
std::vector<Ranked> best_of(const std::vector<float>& logits, int32_t count, std::span<const uint32_t> mask = {}) {
    std::vector<Ranked> all;
    for (size_t id = 0; id < logits.size(); ++id)
        if (mask.empty() || (mask[id / 32] >> (id % 32) & 1) != 0) all.push_back({static_cast<int32_t>(id), logits[id]});
    std::stable_sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) {
        return std::isnan(a.logit) != std::isnan(b.logit) ? std::isnan(a.logit) : a.logit > b.logit;
    });
    all.resize(std::min(all.size(), static_cast<size_t>(count)));
    return all;
}

TEST_CASE("sampler: the best tokens alone give the choices of whole rows, or none") {
    uint32_t seed = 9;
    int chosen = 0, open = 0;
    for (const int levels : {3, 40, 100000}) {  // how many different logits there are: few make ties
        for (const auto& options : {SamplerOptions{.temperature = 0.0f}, SamplerOptions{.temperature = 0.0f, .suppressed = {0, 5, 299}},
                                    SamplerOptions{.temperature = 0.7f, .top_k = 5}, SamplerOptions{.top_k = 20, .top_p = 0.8f},
                                    SamplerOptions{.top_k = 64, .min_p = 0.01f, .suppressed = {1, 2, 3}},
                                    SamplerOptions{.top_k = 500}}) {
            Sampler whole = make(options, 300), few = make(options, 300);
            REQUIRE(few.best_wanted() > 0);
            for (int round = 0; round < 50; ++round) {
                std::vector<float> logits(300);
                for (float& l : logits) {
                    seed = seed * 1664525 + 1013904223;
                    l = static_cast<float>(seed % static_cast<uint32_t>(levels)) * 10.0f / static_cast<float>(levels);
                    if (seed >> 28 == 0) l = -kInfinity;
                }
                std::vector<uint32_t> some(few.allowed().begin(), few.allowed().end());  // in every other round, of a third of the tokens
                if (round % 2 == 1) {
                    some.resize(10, UINT32_MAX);
                    for (size_t w = 0; w < some.size(); ++w) some[w] &= 0x24924924u >> (w % 3);
                }
                const auto quick = few.sample_best(best_of(logits, few.best_wanted(), some));
                const int32_t id = quick ? quick->id : few.sample(logits, some)->id;
                (quick ? chosen : open)++;
                REQUIRE(id == whole.sample(logits, some)->id);
                REQUIRE((some.empty() || (some[static_cast<size_t>(id) / 32] >> (id % 32) & 1) != 0));
            }
        }
    }
    CHECK(chosen > 500);
    CHECK(open > 50);  // rows of few levels have more equal logits than candidates
}

TEST_CASE("sampler: probabilities are those among the tokens that may be chosen") {
    Sampler sampler = make({.want_logprobs = true, .top_alternatives = 3}, 4);
    const uint32_t mask[] = {0b1010};
    const auto sample = sampler.sample(std::vector<float>{9, 0, 9, 0}, mask);
    REQUIRE(sample);
    CHECK((sample->id == 1 || sample->id == 3));
    CHECK(sample->logprob == doctest::Approx(std::log(0.5)));
    CHECK(sample->alternatives.size() == 2);
    CHECK(sampler.sample(std::vector<float>{9, 0, 9, 0}, std::vector<uint32_t>{0}).error().code == Errc::bad_model_file);
}

TEST_CASE("sampler: the best tokens leave it to the whole row to say what is wrong with it") {
    Sampler sampler = make({.top_k = 3}, 8);
    std::vector<float> logits = {1, 2, 3, 4, 5, 6, 7, 8};
    for (const float bad : {std::nanf(""), kInfinity}) {
        logits[2] = bad;
        CHECK(!sampler.sample_best(best_of(logits, sampler.best_wanted())));
    }
    CHECK(!sampler.sample_best(best_of(std::vector<float>(8, -kInfinity), sampler.best_wanted())));
    CHECK(make({.top_k = 0}, 8).best_wanted() == 0);
    CHECK(make({.top_k = INT32_MAX}, 8).best_wanted() == 9);
    CHECK(make({.top_k = 3, .want_logprobs = true}, 8).best_wanted() == 0);
}
