// Norm, rotation and storing against the reference, the rounding of every format, the ring's commits, and what may run at
// the same time.
#include "runtime/vulkan/kv.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/half.h"
#include "tests/support/check_close.h"
#include "tests/support/vulkan_cache.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::CacheShape;
using test::GpuCache;
using test::VulkanRig;

constexpr float kEps = 1e-6f;
constexpr KvClass kLinear = KvClass::linear, kWindow = KvClass::window;

std::vector<float> random_values(std::mt19937& random, size_t count, float low = -2, float high = 2) {
    std::uniform_real_distribution<float> value(low, high);
    std::vector<float> out(count);
    for (float& x : out) x = value(random);
    return out;
}

TensorView rows(const std::shared_ptr<VulkanBuffer>& b, int64_t cols) {
    return view(b, Format::f32, static_cast<int64_t>(b->bytes) / 4 / cols, cols);
}

// A head normed and turned as the reference does, column t of the step.
void norm_and_turn(const GpuCache& cache, float* x, const float* weight, int32_t t) {
    const auto& table = test::reference_kernels();
    const int32_t pairs = cache.pairs();
    table.rms_norm(x, weight, cache.shape.dim, kEps, x);
    if (weight)
        table.rope(x, cache.shape.dim, pairs, cache.inputs.cosine(cache.shape.kv_class) + t * pairs,
                   cache.inputs.sine(cache.shape.kv_class) + t * pairs);
}

// The norm sums dim squares (dim u), then divides, takes a root (2.5 and 3 ulp of 2 u in Vulkan; the root's argument counts
// half) and multiplies twice; the turn of values up to `size` adds three roundings of each product.
double norm_tolerance(int32_t dim, double size) { return test::kUnitRoundoff * (dim / 2.0 + 20) * 2 * size; }

TEST_CASE("kv: queries are normed and turned in place, the last columns alone") {
    for (const auto& sizes : {std::pair{64, 0}, {48, 5}, {512, 64}}) {
        const int32_t dim = sizes.first, pairs = sizes.second;
        CAPTURE(dim);
        GpuCache cache({.heads = 3, .dim = dim, .position = 4, .columns = 5, .pairs = pairs});
        auto q = random_values(cache.random, size_t{3} * 3 * dim);
        const auto weight = random_values(cache.random, static_cast<size_t>(dim));
        const auto x = VulkanRig::get().upload(q), w = VulkanRig::get().upload(weight);
        std::vector<Dispatch> noted;
        note_norm_rope(rows(x, 3 * dim), rows(w, dim), kEps, kLinear, cache.memory(), noted);
        VulkanRig::get().run(noted);
        for (int32_t i = 0; i < 9; ++i) norm_and_turn(cache, q.data() + i * dim, weight.data(), 2 + i / 3);
        const auto out = VulkanRig::get().download<float>(*x);
        CHECK(test::first_difference(out, q, int64_t{9} * dim, [&](int64_t) { return norm_tolerance(dim, 8); }) == "");
    }
}

// Keys and values of a step: what is stored, and what the reference stores in the same place.
struct Stored {
    explicit Stored(const CacheShape& s, bool same = false) : cache(s), keys_as_values(same) {
        const int64_t cols = int64_t{s.kv_heads} * s.dim;
        k = random_values(cache.random, static_cast<size_t>(s.columns * cols));
        v = same ? k : random_values(cache.random, k.size());
        weight = random_values(cache.random, static_cast<size_t>(s.dim));
        k_buffer = VulkanRig::get().upload(k);
        v_buffer = same ? k_buffer : VulkanRig::get().upload(v);
        w_buffer = VulkanRig::get().upload(weight);
        note_norm_rope_store(rows(k_buffer, cols), rows(v_buffer, cols), rows(w_buffer, s.dim), kEps, cache.view, cache.memory(),
                             noted);
    }
    // The values of a row in a plane.
    std::vector<float> read(int32_t t, int32_t head, bool key) const {
        const KvStep& step = cache.inputs.kv(cache.shape.kv_class);
        const int32_t position = cache.inputs.position() + t;
        const KvSpan* s = step.stores.data();
        while (position >= s->position + s->count) ++s;
        const KvRowBytes at = cache.view.offsets(s->segment, head, s->first_row + position - s->position);
        const std::byte* base = cache.bytes(s->segment);
        const std::byte *row = base + (key ? at.k : at.v), *scales = base + (key ? at.k_scales : at.v_scales);
        std::vector<float> out(static_cast<size_t>(key ? cache.key_values() : cache.shape.dim));
        for (size_t i = 0; i < out.size(); ++i) {
            if (cache.shape.format == KvFormat::f32) std::memcpy(&out[i], row + 4 * i, 4);
            if (cache.shape.format == KvFormat::f16) out[i] = kernels::half_to_float(kernels::load_u16(row + 2 * i));
            if (cache.shape.format == KvFormat::q8_0)
                out[i] = static_cast<float>(static_cast<int8_t>(row[i])) *
                         kernels::half_to_float(kernels::load_u16(scales + i / 32 * 2));
        }
        return out;
    }
    std::vector<float> expected(int32_t t, int32_t head, bool key) const {
        const int32_t dim = cache.shape.dim, kept = cache.shape.key_pairs;
        const auto from = (key ? k : v).begin() + (int64_t{t} * cache.shape.kv_heads + head) * dim;
        std::vector<float> x(from, from + dim);
        norm_and_turn(cache, x.data(), key ? weight.data() : nullptr, t);
        if (key && kept > 0) {
            std::copy_n(x.begin() + dim / 2, kept, x.begin() + kept);
            x.resize(static_cast<size_t>(2 * kept));
        }
        return x;
    }
    GpuCache cache;
    bool keys_as_values;
    std::vector<float> k, v, weight;
    std::shared_ptr<VulkanBuffer> k_buffer, v_buffer, w_buffer;
    std::vector<Dispatch> noted;
};

// Half a unit of the format more than the norm's own: f16 has 11 bits, q8_0 steps of a 127th of the largest of 32, whose
// scale is a half.
double store_tolerance(KvFormat format, const std::vector<float>& row, int64_t i) {
    if (format == KvFormat::f32) return 0;
    if (format == KvFormat::f16) return std::abs(row[static_cast<size_t>(i)]) * 0x1p-11 + 0x1p-25;
    const auto block = row.begin() + i / 32 * 32;
    float largest = 0;
    for (auto x = block; x < block + 32; ++x) largest = std::max(largest, std::abs(*x));
    return largest / 127 * (0.5 + 127 * 0x1p-11 + 1e-3);
}

void check_stored(const Stored& s) {
    const CacheShape& shape = s.cache.shape;
    CAPTURE(kernels::name(shape.format));
    CAPTURE(shape.dim);
    for (int32_t t = 0; t < shape.columns; ++t)
        for (int32_t head = 0; head < shape.kv_heads; ++head)
            for (const bool key : {false, true}) {
                const auto row = s.expected(t, head, key);
                CHECK(test::first_difference(s.read(t, head, key), row, static_cast<int64_t>(row.size()), [&](int64_t i) {
                          return norm_tolerance(shape.dim, 8) + store_tolerance(shape.format, row, i);
                      }) == "");
            }
}

TEST_CASE("kv: keys and values of every format enter segments, rings and the scratch") {
    for (const KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0}) {
        for (const CacheShape& s :
             {CacheShape{.format = format, .kv_heads = 2, .dim = 96, .position = 298, .columns = 5},
              CacheShape{.format = format, .kv_class = kWindow, .kv_heads = 2, .position = 314, .columns = 5, .segment_rows = 316},
              CacheShape{.format = format, .kv_class = kWindow, .position = 40, .columns = 20, .segment_rows = 316, .scratch = true}}) {
            Stored stored(s);
            VulkanRig::get().run(stored.noted);
            check_stored(stored);
            CHECK(VulkanRig::get().download<float>(*stored.k_buffer) == stored.k);
        }
    }
}

TEST_CASE("kv: keys that share their rows with values keep what turns") {
    for (const CacheShape& s : {CacheShape{.dim = 512, .key_pairs = 64, .position = 7, .columns = 2},
                                CacheShape{.dim = 16, .key_pairs = 2, .position = 7, .columns = 2},
                                CacheShape{.format = KvFormat::q8_0, .dim = 128, .key_pairs = 32, .position = 7, .columns = 1}}) {
        Stored stored(s, true);
        VulkanRig::get().run(stored.noted);
        check_stored(stored);
    }
}

// The weights of a head of ones, whose rms is 1, arrive as they are where nothing turns: all but one pair.
TEST_CASE("kv: halves are rounded to nearest, ties to even, in the reference's bits") {
    std::vector<float> values;
    for (const uint32_t exponent : {0u, 90u, 101u, 102u, 103u, 110u, 112u, 113u, 127u, 141u, 142u, 143u, 254u, 255u})
        for (const uint32_t fraction : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x2fffu, 0x3000u, 0x3001u, 0x7fefffu, 0x7ff000u, 0x7fffffu})
            for (const uint32_t sign : {0u, 0x80000000u}) values.push_back(kernels::bits_float(sign | exponent << 23 | fraction));
    values.resize((values.size() + 15) / 16 * 16, 1.0f);
    const auto dim = static_cast<int32_t>(values.size());
    GpuCache cache({.heads = 1, .dim = dim, .position = 0, .columns = 1, .pairs = 1});
    const auto k = VulkanRig::get().upload(std::vector<float>(values.size(), 1.0f)), w = VulkanRig::get().upload(values);
    std::vector<Dispatch> noted;
    note_norm_rope_store(rows(k, dim), rows(k, dim), rows(w, dim), 0, cache.view, cache.memory(), noted);
    VulkanRig::get().run(noted);
    const std::byte* row = cache.bytes(0) + cache.view.offsets(0, 0, 0).k;
    for (int32_t i = 0; i < dim; ++i) {
        if (i % (dim / 2) == 0) continue;
        const float value = values[static_cast<size_t>(i)];
        const uint16_t half = kernels::load_u16(row + 2 * i);
        CAPTURE(value);
        if (std::isnan(value))
            CHECK(std::isnan(kernels::half_to_float(half)));
        else
            CHECK(half == kernels::float_to_half(value));
    }
}

TEST_CASE("kv: rows of the scratch enter the ring, and nothing else moves") {
    for (const KvFormat format : {KvFormat::f16, KvFormat::q8_0})
        for (const int32_t columns : {20, 50}) {
            GpuCache cache({.format = format, .kv_class = kWindow, .kv_heads = 2, .position = 90, .columns = columns, .segment_rows = 40,
                            .window = 24, .scratch = true});
            cache.fill();
            const auto ring = std::static_pointer_cast<VulkanBuffer>(cache.table.segments[0].buffer);
            auto expected = VulkanRig::get().download<uint8_t>(*ring);
            const KvStep& step = cache.inputs.kv(kWindow);
            for (int32_t i = 0; i < step.commit_count; ++i)
                for (int32_t row = 0; row < step.commits[i].count; ++row)
                    for (int32_t head = 0; head < 2; ++head)
                        for (const auto plane : {&KvRowBytes::k, &KvRowBytes::v, &KvRowBytes::k_scales, &KvRowBytes::v_scales})
                            std::memcpy(expected.data() + cache.view.offsets(0, head, step.commits[i].to_row + row).*plane,
                                        cache.bytes(1) + cache.view.offsets(1, head, step.commits[i].from_row + row).*plane,
                                        static_cast<size_t>(cache.view.row.*plane));
            std::vector<Dispatch> noted;
            note_commit_kv(cache.view, cache.memory(), noted);
            VulkanRig::get().run(noted);
            CHECK(VulkanRig::get().download<uint8_t>(*ring) == expected);
        }
}

TEST_CASE("kv: queries and keys at once, attention behind them, layers apart") {
    Stored s({.kv_class = kWindow, .position = 40, .columns = 20, .segment_rows = 316, .scratch = true});
    const auto q = VulkanRig::get().upload(random_values(s.cache.random, size_t{20} * 128)), out = VulkanRig::get().poisoned(q->bytes);
    note_norm_rope(rows(q, 128), rows(s.w_buffer, 64), kEps, kWindow, s.cache.memory(), s.noted);
    note_attention(rows(q, 128), s.cache.view, rows(out, 128), s.cache.memory(), s.noted);
    note_commit_kv(s.cache.view, s.cache.memory(), s.noted);
    CHECK(place_barriers(s.noted) == std::vector<bool>{false, false, true, true});

    KvView next = s.cache.view;
    next.scratch = nullptr;
    KvView behind = next;
    behind.layer_bytes += behind.position_bytes();
    const auto barriers = [&](const KvView& first, const KvView& second) {
        std::vector<Dispatch> two;
        for (const KvView& kv : {first, second})
            note_norm_rope_store(rows(s.k_buffer, 64), rows(s.v_buffer, 64), rows(s.w_buffer, 64), kEps, kv, s.cache.memory(), two);
        return place_barriers(two);
    };
    CHECK(barriers(next, behind) == std::vector<bool>{false, false});
    CHECK(barriers(next, next) == std::vector<bool>{false, true});
    CHECK(barriers(s.cache.view, s.cache.view) == std::vector<bool>{false, true});
}

TEST_CASE("kv: a step without scratch commits nothing") {
    GpuCache cache({.kv_class = kWindow, .position = 40, .columns = 3, .segment_rows = 316});
    std::vector<Dispatch> noted;
    note_commit_kv(cache.view, cache.memory(), noted);
    CHECK(noted.empty());
}

}  // namespace
