// Attention against the reference: formats, rings, runs of far positions; bits that do not depend on the columns; and
// mistakes that must be seen.
#include "runtime/vulkan/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "runtime/vulkan/kv.h"
#include "runtime/vulkan/products.h"
#include "tests/support/check_close.h"
#include "tests/support/vulkan_cache.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::CacheShape;
using test::GpuCache;
using test::VulkanRig;

std::vector<float> random_queries(GpuCache& cache) {
    const CacheShape& s = cache.shape;
    std::uniform_real_distribution<float> value(-1, 1);
    std::vector<float> q(static_cast<size_t>(s.asked) * s.heads * s.dim);
    const float scale = 4 / std::sqrt(static_cast<float>(s.dim));  // scores of a few units
    for (float& x : q) x = scale * value(cache.random);
    return q;
}

// Queries, dispatches and result of a cache's step.
struct Asked {
    Asked(const GpuCache& cache, const std::vector<float>& queries)
        : q(VulkanRig::get().upload(queries)), out(VulkanRig::get().poisoned(q->bytes)) {
        const int64_t values = int64_t{cache.shape.heads} * cache.shape.dim;
        note_attention(view(q, Format::f32, cache.shape.asked, values), cache.view,
                       view(out, Format::f32, cache.shape.asked, values), cache.memory(), dispatches);
    }
    std::vector<float> run() {
        std::memset(out->mapped(), 0xFF, out->bytes);
        VulkanRig::get().run(dispatches);
        return VulkanRig::get().download<float>(*out);
    }
    std::shared_ptr<VulkanBuffer> q, out;
    std::vector<Dispatch> dispatches;
};

// Values are in [-1, 1]. The reference and the GPU each have scores off by (dim + 3) u sum |q| |k|, which moves a weight by
// twice that (numerator and denominator), and sum over the positions. Vulkan's exp is off by 3 + 2 |x| ulp, of 2 u each,
// with |x| at most twice the largest score; it acts once on weights and once on blocks.
double tolerance(const GpuCache& cache, const std::vector<float>& q) {
    const CacheShape& s = cache.shape;
    double worst = 0;
    for (size_t row = 0; row < q.size(); row += static_cast<size_t>(s.dim)) {
        double sum = 0;
        for (int32_t i = 0; i < s.dim; ++i) sum += std::abs(q[row + static_cast<size_t>(i)]);
        worst = std::max(worst, s.key_pairs > 0 ? 1.5 * sum : sum);
    }
    const double positions = std::min(s.window, cache.inputs.position() + s.columns) + s.columns;
    return 2 * test::kUnitRoundoff * (2 * ((s.dim + 3) * worst + positions + 24) + 2 * 2 * (3 + 4 * worst));
}

std::string difference(const GpuCache& cache, const std::vector<float>& q, const std::vector<float>& actual) {
    const std::vector<float> expected = cache.expected(q);
    const double allowed = tolerance(cache, q);
    return test::first_difference(actual, expected, static_cast<int64_t>(q.size()), [&](int64_t) { return allowed; });
}

void check(const CacheShape& shape) {
    CAPTURE(shape.dim);
    CAPTURE(shape.columns);
    CAPTURE(shape.position);
    CAPTURE(kernels::name(shape.format));
    GpuCache cache(shape);
    cache.fill();
    const auto q = random_queries(cache);
    CHECK(difference(cache, q, Asked(cache, q).run()) == "");
}

constexpr KvClass kLinear = KvClass::linear, kWindow = KvClass::window;

TEST_CASE("attention: few columns, split over blocks and segments") {
    check({.heads = 4, .kv_heads = 2, .position = 700, .columns = 1});
    check({.heads = 4, .kv_heads = 2, .position = 0, .columns = 5});
    check({.format = KvFormat::f32, .heads = 3, .kv_heads = 1, .dim = 24, .position = 255, .columns = 3});
    check({.heads = 2, .kv_heads = 1, .dim = 6, .position = 255, .columns = 1});
    check({.format = KvFormat::q8_0, .heads = 4, .kv_heads = 2, .dim = 96, .position = 400, .columns = 2});
}

TEST_CASE("attention: the heads of the model") {
    check({.kv_class = kWindow, .heads = 4, .kv_heads = 2, .dim = 256, .position = 900, .columns = 2, .segment_rows = 528,
           .window = 512, .tile = 8});
    check({.heads = 16, .kv_heads = 1, .dim = 512, .key_pairs = 64, .position = 513, .columns = 1,
           .tile = 8});
}

TEST_CASE("attention: keys as values in every format, also where their halves end within a piece") {
    check({.format = KvFormat::f32, .heads = 2, .kv_heads = 1, .dim = 16, .key_pairs = 2, .position = 30, .columns = 2});
    check({.heads = 2, .kv_heads = 1, .dim = 12, .key_pairs = 4, .position = 30, .columns = 1});
    check({.heads = 2, .kv_heads = 2, .dim = 32, .key_pairs = 6, .position = 300, .columns = 1});
    check({.format = KvFormat::q8_0, .heads = 2, .kv_heads = 1, .dim = 128, .key_pairs = 32, .position = 300, .columns = 1});
}

TEST_CASE("attention: a ring that wraps, and one whose step is in the scratch") {
    check({.kv_class = kWindow, .heads = 4, .kv_heads = 2, .position = 1000, .columns = 3, .segment_rows = 316, .window = 300});
    check({.kv_class = kWindow, .heads = 4, .kv_heads = 2, .position = 1000, .columns = 20, .segment_rows = 316, .window = 300,
           .scratch = true});
    check({.kv_class = kWindow, .heads = 4, .kv_heads = 2, .position = 1000, .columns = 20, .asked = 1, .segment_rows = 316,
           .window = 300, .scratch = true});
}

TEST_CASE("attention: many columns, of which the last ask") {
    check({.heads = 2, .kv_heads = 1, .position = 500, .columns = 30, .asked = 11});
    check({.format = KvFormat::q8_0, .heads = 2, .kv_heads = 1, .position = 0, .columns = 9});
    check({.heads = 6, .kv_heads = 2, .dim = 16, .key_pairs = 4, .position = 250, .columns = 10});
}

TEST_CASE("attention: positions in all kinds of runs") {
    // The farthest in larger segments: with many buffers the GPU-assisted layers of 2023 report addresses that are in one.
    for (const auto& far : {std::pair{16383, 4096}, {16700, 4096}, {70000, 4096}, {300000, 65536}})
        check({.format = KvFormat::f32, .heads = 2, .kv_heads = 1, .dim = 16, .position = far.first, .columns = 2,
               .segment_rows = far.second});
    // A window of more blocks than slots is cut as what has no window.
    check({.format = KvFormat::f32, .kv_class = kWindow, .heads = 2, .kv_heads = 1, .dim = 16, .position = 70000, .columns = 2,
           .segment_rows = 41000, .window = 40960});
}

TEST_CASE("attention: a picture sees what follows, a blind row nothing") {
    for (const int32_t columns : {6, 12}) {
        GpuCache cache({.kv_class = kWindow, .heads = 2, .kv_heads = 1, .position = 300, .columns = columns, .segment_rows = 316,
                        .window = 300});
        cache.fill();
        int32_t *first = cache.inputs.first(kWindow), *last = cache.inputs.last(kWindow);
        for (int32_t t = 1; t < 4; ++t) last[t] = 304;
        first[4] = last[4];
        const auto q = random_queries(cache);
        const auto out = Asked(cache, q).run();
        CHECK(difference(cache, q, out) == "");
        CHECK(std::all_of(out.begin() + 4 * 128, out.begin() + 5 * 128, [](float x) { return x == 0; }));
    }
}

TEST_CASE("attention: the int8 image of its result is that of a quantisation of its own") {
    for (const CacheShape& shape : {CacheShape{.heads = 2, .kv_heads = 1, .dim = 256, .position = 300, .columns = 3},
                                    CacheShape{.heads = 2, .kv_heads = 1, .dim = 512, .key_pairs = 64, .position = 10, .columns = 1}}) {
        GpuCache cache(shape);
        cache.fill();
        Asked asked(cache, random_queries(cache));
        const TensorView out = view(asked.out, Format::f32, shape.columns, int64_t{shape.heads} * shape.dim);
        const uint64_t bytes = product_image_bytes(out.rows, out.cols);
        const auto merged = VulkanRig::get().poisoned(bytes), quantised = VulkanRig::get().poisoned(bytes);
        asked.dispatches.clear();
        CHECK(note_attention(view(asked.q, Format::f32, out.rows, out.cols), cache.view, out, cache.memory(), asked.dispatches,
                             range_of(*merged, 0, bytes)));
        asked.dispatches.push_back(quantize_rows(out, range_of(*quantised, 0, bytes)));
        const auto values = asked.run();
        CHECK(values == Asked(cache, VulkanRig::get().download<float>(*asked.q)).run());
        CHECK(VulkanRig::get().download<uint8_t>(*merged) == VulkanRig::get().download<uint8_t>(*quantised));
    }
    GpuCache odd({.heads = 2, .kv_heads = 1, .dim = 64, .position = 300});
    Asked asked(odd, random_queries(odd));
    CHECK_FALSE(note_attention(view(asked.q, Format::f32, 1, 128), odd.view, view(asked.out, Format::f32, 1, 128), odd.memory(),
                               asked.dispatches, range_of(*asked.out, 0, 64)));
}

TEST_CASE("attention: the bits of a row are the same in steps of 1 to 8 columns and in any tile") {
    for (const CacheShape& whole :
         {CacheShape{.heads = 6, .kv_heads = 2, .position = 509, .columns = 8},
          CacheShape{.kv_class = kWindow, .heads = 6, .kv_heads = 2, .position = 509, .columns = 8, .segment_rows = 316,
                     .window = 300}}) {
        GpuCache cache(whole);
        cache.fill();
        const auto q = random_queries(cache);
        const auto expected = Asked(cache, q).run();
        for (const int32_t columns : {1, 2, 3, 5}) {
            CAPTURE(columns);
            cache.shape.asked = columns;  // the last ones
            if (whole.kv_class == kLinear) cache.shape.tile = columns == 1 ? 4 : columns == 2 ? 1 : 8;
            const auto from = q.end() - int64_t{columns} * whole.heads * whole.dim;
            const auto out = Asked(cache, {from, q.end()}).run();
            CHECK(std::memcmp(out.data(), expected.data() + (q.size() - out.size()), out.size() * sizeof(float)) == 0);
        }
    }
}

TEST_CASE("attention: a recording runs again at other positions, also when the cache has grown") {
    GpuCache cache({.heads = 2, .kv_heads = 1, .position = 10, .columns = 2});
    cache.fill();
    const auto q = random_queries(cache);
    Asked asked(cache, q);
    CHECK(difference(cache, q, asked.run()) == "");
    for (const int32_t position : {299, 1000}) {
        cache.plan(position);
        cache.fill();
        CHECK(difference(cache, q, asked.run()) == "");
    }
}

TEST_CASE("attention: a bound that is off by one, or a block weighed as another, is seen") {
    GpuCache cache({.kv_class = kWindow, .heads = 2, .kv_heads = 1, .position = 600, .columns = 1, .segment_rows = 316,
                    .window = 300});
    cache.fill();
    const auto q = random_queries(cache);
    Asked asked(cache, q);
    const auto out = asked.run();
    CHECK(difference(cache, q, out) == "");
    for (int32_t* bound : {cache.inputs.first(kWindow), cache.inputs.last(kWindow)}) {
        const int32_t right = *bound;
        *bound += bound == cache.inputs.first(kWindow) ? 1 : -1;
        CHECK(difference(cache, q, out) != "");
        *bound = right;
    }
    // Blocks 1 and 2 of three, in the slots that runs.glsl says: their accumulators change places.
    REQUIRE(asked.dispatches.size() == 2);
    const auto dim = static_cast<size_t>(cache.shape.dim), slots = static_cast<size_t>(asked.dispatches[0].groups[2]);
    auto* partials = reinterpret_cast<float*>(cache.partials->mapped());
    std::swap_ranges(partials + 1 % slots * dim, partials + (1 % slots + 1) * dim, partials + 2 % slots * dim);
    VulkanRig::get().run(std::vector<Dispatch>{asked.dispatches[1]});
    CHECK(difference(cache, q, VulkanRig::get().download<float>(*asked.out)) != "");
}

TEST_CASE("attention: no more scratch than the step was promised") {
    for (const KvClass c : {kLinear, kWindow}) {
        GpuCache cache({.kv_class = c, .heads = 4, .kv_heads = 2, .dim = 16, .position = 5, .columns = 8});
        const std::vector<float> q(size_t{8} * 4 * 16);
        const Range partials = Asked(cache, q).dispatches[0].ranges[1];
        CHECK(partials.owner == cache.memory().partials.owner);
        CHECK(partials.end - partials.begin <= attention_scratch_bytes(cache.step));
    }
}

}  // namespace
