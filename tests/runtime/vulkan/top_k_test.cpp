// The best scores of rows against a full sort: ties, masks, rows of NaN and infinities, one pass to several.
#include "runtime/vulkan/top_k.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "runtime/device.h"
#include "tests/support/vulkan_rig.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::VulkanRig;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int32_t> sorted(const float* scores, int32_t vocab, const std::vector<uint32_t>& mask) {
    std::vector<int32_t> ids(static_cast<size_t>(vocab));
    std::iota(ids.begin(), ids.end(), 0);
    if (!mask.empty())
        std::erase_if(ids, [&](int32_t id) { return !(mask[static_cast<size_t>(id) / 32] >> (id % 32) & 1); });
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
        if (std::isnan(scores[a]) || std::isnan(scores[b])) return std::isnan(scores[a]) && !std::isnan(scores[b]);
        return scores[a] > scores[b];
    });
    return ids;
}

// [rows][k] of scores [rows][stride], of which each row has `vocab`.
std::vector<Candidate> best(const std::vector<float>& scores, int32_t rows, int32_t vocab, int32_t stride, int32_t k,
                            const std::vector<uint32_t>& mask) {
    auto& rig = VulkanRig::get();
    StepShape shape;
    shape.columns = 1;
    shape.mask_words = static_cast<int32_t>(mask.size());
    const auto block = rig.poisoned(StepInputs::bytes(shape)), values = rig.upload(scores);
    const StepInputs inputs(block->mapped(), shape);
    std::copy(mask.begin(), mask.end(), inputs.mask());
    const StepMemory memory{&inputs, 1, range_of(*block, 0, block->bytes), {}, {}};
    const uint64_t needed = top_k_scratch_bytes(rows, vocab, k);
    const auto scratch = rig.poisoned(needed + 64), out = rig.poisoned(static_cast<size_t>(rows * k) * sizeof(Candidate));
    std::vector<Dispatch> noted;
    note_top_k({values.get(), 0, Format::f32, rows, vocab, stride * 4}, k, view(out, Format::f32, rows, 2 * k), memory,
               range_of(*scratch, 0, needed), noted);
    rig.run(noted);
    const auto words = rig.download<uint32_t>(*scratch);
    CHECK(std::all_of(words.end() - 16, words.end(), [](uint32_t w) { return w == 0xFFFFFFFF; }));
    return rig.download<Candidate>(*out);
}

void check(const std::vector<float>& scores, int32_t rows, int32_t vocab, int32_t stride, int32_t k, const std::vector<uint32_t>& mask) {
    CAPTURE(vocab);
    CAPTURE(k);
    CAPTURE(mask.size());
    const auto found = best(scores, rows, vocab, stride, k, mask);
    for (int32_t t = 0; t < rows; ++t) {
        const float* row = scores.data() + static_cast<size_t>(t) * stride;
        const auto ids = sorted(row, vocab, mask);
        for (int32_t i = 0; i < k; ++i) {
            const Candidate& c = found[static_cast<size_t>(t * k + i)];
            const bool any = static_cast<size_t>(i) < ids.size();
            const float score = any ? row[ids[static_cast<size_t>(i)]] : 0;
            if (c.id != (any ? ids[static_cast<size_t>(i)] : -1) || std::memcmp(&c.score, &score, sizeof score) != 0) {
                FAIL_CHECK("row " << t << ", candidate " << i << " is " << c.id << " of " << c.score);
                return;
            }
        }
    }
}

// Many equal ones, zeros of both signs, NaN of both signs and infinities.
std::vector<float> random_scores(int32_t rows, int32_t stride) {
    std::mt19937 random(3);
    std::uniform_int_distribution<int32_t> value(-250, 250);
    std::vector<float> scores(static_cast<size_t>(rows) * stride);
    for (float& s : scores) s = static_cast<float>(value(random));
    for (size_t i = 0; i < scores.size(); i += 3)
        if (scores[i] == 0) scores[i] = -0.0f;
    scores[1999] = std::nanf("");
    scores[17] = -std::nanf("");
    scores[5] = kInfinity;
    scores[6] = -kInfinity;
    return scores;
}

TEST_CASE("top k: as a full stable sort, greatest first, equal ones by id, NaN before all") {
    const auto scores = random_scores(3, 20011);
    std::vector<uint32_t> every_third(626);
    for (uint32_t i = 0; i < 20000; i += 3) every_third[i / 32] |= 1u << (i % 32);
    for (const int32_t k : {1, 7, 64, 1024}) check(scores, 3, 20000, 20011, k, {});
    check(scores, 3, 20000, 20011, 40, every_third);
    check(scores, 2, 2000, 2005, 2000 / 4, {});  // one slice
    check(scores, 2, 2049, 2050, 1000, {});
}

TEST_CASE("top k: fewer than k, and none at all") {
    const auto scores = random_scores(1, 3000);
    std::vector<uint32_t> few(94);
    few[0] = 0x60;
    few[93] = 0x80;
    check(scores, 1, 3000, 3000, 8, few);
    check(scores, 1, 3000, 3000, 8, std::vector<uint32_t>(94));
    check(scores, 1, 2000, 2000, 1024, {});
}

TEST_CASE("top k: rows of one value") {
    for (const float value : {std::nanf(""), -kInfinity, 0.0f}) check(std::vector<float>(5000, value), 1, 5000, 5000, 33, {});
}

TEST_CASE("top k: as many scores as the model has") {
    check(random_scores(1, 262144), 1, 262144, 262144, 1024, {});
    check(random_scores(1, 262144), 1, 262144, 262144, 64, {});
}

}  // namespace
