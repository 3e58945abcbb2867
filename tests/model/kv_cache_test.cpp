// Every visible position lies in exactly one span, in order, and rows are found where they were put.
#include "model/kv_cache.h"

#include <doctest/doctest.h>

#include <cstring>
#include <map>

#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "tests/support/device_step.h"
#include "tests/support/far/far_device.h"

using namespace lapidary;
using namespace lapidary::model;
using runtime::KvClass;

namespace {

ModelConfig small(int32_t window) {
    ModelConfig c;
    c.hidden = 32;
    c.window = window;
    c.heads = 2;
    c.layers = {{LayerKind::sliding, 1, 16, false}, {LayerKind::full, 1, 32, true}};
    return c;
}

runtime::CpuDevice& device() {
    static runtime::CpuDevice d(*kernels::select("ref", nullptr), 1, true);
    return d;
}

Result<KvCache> whole_cache(const ModelConfig& config, runtime::KvFormat format, int32_t context) {
    return KvCache::create(device(), config, 0, static_cast<int32_t>(config.layers.size()), format, context);
}

}  // namespace

TEST_CASE("kv cache: spans, stores and commits of random step sequences agree with a plain map") {
    for (const int32_t window : {1, 5, 16, 100}) {
        const ModelConfig config = small(window);
        auto cache = whole_cache(config, runtime::KvFormat::f16, 10000);
        REQUIRE(cache);
        std::map<int32_t, int32_t> ring;  // slot -> position it holds
        uint32_t random = 12345;
        for (int32_t position = 0; position < 9000;) {
            random = random * 1664525 + 1013904223;
            const int32_t columns = 1 + static_cast<int32_t>(random >> 8) % (random & 64 ? 700 : 24);
            runtime::KvStep steps[2];
            cache->plan_step(position, columns, steps[size_t(KvClass::window)], steps[size_t(KvClass::linear)]);
            const auto& window_step = steps[static_cast<size_t>(KvClass::window)];
            // A step that fits the slack writes to the ring in front of attention, a longer one behind it.
            const bool straight = columns <= kRingSlack;
            REQUIRE((window_step.commit_count == 0) == straight);
            for (int i = 0; straight && i < window_step.store_count; ++i) {
                const auto& s = window_step.stores[static_cast<size_t>(i)];
                REQUIRE(s.segment == 0);
                for (int32_t r = 0; r < s.count; ++r) ring[s.first_row + r] = s.position + r;
            }
            for (const KvClass c : {KvClass::window, KvClass::linear}) {
                const auto& step = steps[static_cast<size_t>(c)];
                int32_t next = c == KvClass::window ? std::max(0, position - window + 1) : 0;
                for (int i = 0; i < step.span_count; ++i) {
                    const auto& s = step.spans[static_cast<size_t>(i)];
                    REQUIRE(s.position == next);
                    REQUIRE(s.count > 0);
                    REQUIRE((c == KvClass::linear || s.segment == 0 || s.position == position));
                    if (c == KvClass::window && s.segment == 0)
                        for (int32_t r = 0; r < s.count; ++r) REQUIRE(ring.at(s.first_row + r) == s.position + r);
                    next += s.count;
                }
                REQUIRE(next == position + columns);
                int32_t stored = position;
                for (int i = 0; i < step.store_count; ++i) {
                    const auto& s = step.stores[static_cast<size_t>(i)];
                    REQUIRE(s.position == stored);
                    if (c == KvClass::linear) REQUIRE(s.segment * kSegmentRows + s.first_row == s.position);
                    stored += s.count;
                }
                REQUIRE(stored == position + columns);
            }
            for (int i = 0; i < window_step.commit_count; ++i) {
                const auto& copy = window_step.commits[static_cast<size_t>(i)];
                for (int32_t r = 0; r < copy.count; ++r) ring[copy.to_row + r] = position + copy.from_row + r;
            }
            position += columns;
        }
        CHECK(static_cast<int32_t>(ring.size()) == window + kRingSlack);
    }
}

TEST_CASE("kv cache: rewinding is possible within the slack, to the start, and nowhere else") {
    auto cache = whole_cache(small(50), runtime::KvFormat::f32, 1000);
    REQUIRE(cache);
    CHECK(cache->can_rewind(500, 500));
    CHECK(cache->can_rewind(500, 500 - kRingSlack - 1));
    CHECK(!cache->can_rewind(500, 500 - kRingSlack - 2));
    CHECK(cache->can_rewind(500, 0));
    CHECK(cache->can_rewind(40, 3));  // nothing was overwritten yet
}

TEST_CASE("kv cache: a fork shares complete segments until one of the two writes, and copies the rest") {
    auto cache = whole_cache(small(50), runtime::KvFormat::f16, 3 * kSegmentRows);
    REQUIRE(cache);
    REQUIRE(cache->reserve(0, 2 * kSegmentRows + 800));
    const KvScratch none;
    const auto buffer = [&](const KvCache& c, int32_t layer, int32_t segment) {
        return c.layer(layer, 1, none).segment(segment).buffer.get();
    };
    const auto mark = [&](const KvCache& c, int32_t layer, int32_t segment, int seed) {
        auto& b = *buffer(c, layer, segment);
        for (size_t i = 0; i < b.bytes; ++i) runtime::host_bytes(b)[i] = static_cast<std::byte>(seed + i % 83);
    };
    const auto marked = [&](const KvCache& c, int32_t layer, int32_t segment, int seed) {
        const auto& b = *buffer(c, layer, segment);
        for (size_t i = 0; i < b.bytes; ++i)
            if (runtime::host_bytes(b)[i] != static_cast<std::byte>(seed + i % 83)) return false;
        return true;
    };
    for (int32_t s = 0; s < 3; ++s) mark(*cache, 1, s, 10 * s);
    mark(*cache, 0, 0, 99);

    auto fork = cache->fork(2 * kSegmentRows + 700);
    REQUIRE(fork);
    CHECK(fork->layer(1, 1, none).table->cache != cache->layer(1, 1, none).table->cache);
    CHECK(buffer(*fork, 1, 0) == buffer(*cache, 1, 0));
    CHECK(buffer(*fork, 1, 1) == buffer(*cache, 1, 1));
    CHECK(buffer(*fork, 1, 2) != buffer(*cache, 1, 2));
    CHECK(buffer(*fork, 0, 0) != buffer(*cache, 0, 0));
    CHECK(marked(*fork, 1, 2, 20));
    CHECK(marked(*fork, 0, 0, 99));

    // The fork goes back into a shared segment and writes; the other keeps what it has and need not copy then.
    REQUIRE(fork->reserve(kSegmentRows + 5, kSegmentRows + 9));
    CHECK(buffer(*fork, 1, 0) == buffer(*cache, 1, 0));
    CHECK(buffer(*fork, 1, 1) != buffer(*cache, 1, 1));
    CHECK(marked(*fork, 1, 1, 10));
    mark(*fork, 1, 1, 77);
    CHECK(marked(*cache, 1, 1, 10));
    const auto* own = buffer(*cache, 1, 1);
    REQUIRE(cache->reserve(kSegmentRows + 5, kSegmentRows + 9));
    CHECK(buffer(*cache, 1, 1) == own);
    REQUIRE(cache->reserve(kSegmentRows - 1, kSegmentRows));  // and the other way round
    CHECK(buffer(*fork, 1, 0) != buffer(*cache, 1, 0));
    CHECK(marked(*cache, 1, 0, 0));

    auto whole = cache->fork(kSegmentRows);  // ends where a segment ends: nothing but the ring to copy
    REQUIRE(whole);
    CHECK(buffer(*whole, 1, 0) == buffer(*cache, 1, 0));
    CHECK(whole->bytes() < fork->bytes());
    REQUIRE(whole->reserve(kSegmentRows, kSegmentRows + 1));
    CHECK(buffer(*whole, 1, 0) == buffer(*cache, 1, 0));
}

TEST_CASE("kv cache: what another device shares is asked for as such, and a scratch that it does not see is replaced") {
    const ModelConfig config = small(50);
    auto own = whole_cache(config, runtime::KvFormat::f16, 300);
    auto shared = KvCache::create(device(), config, 0, 2, runtime::KvFormat::f16, 300, runtime::MemoryKind::shared);
    REQUIRE(own);
    REQUIRE(shared);
    KvScratch scratch;
    const auto reserved = [&](const KvCache& cache) {
        REQUIRE(cache.reserve_scratch(scratch, 40));
        return scratch.segment.buffer;
    };
    const auto first = reserved(*own), second = reserved(*shared), third = reserved(*own);
    CHECK(first != second);
    CHECK(second == third);  // which is good enough for both
    CHECK(reserved(*shared->fork(0)) == second);

    test::FarDevice far(*kernels::select("ref", nullptr), 1, true);
    REQUIRE(KvCache::create(far, config, 0, 2, runtime::KvFormat::f16, 300));
    const auto none = KvCache::create(far, config, 0, 2, runtime::KvFormat::f16, 300, runtime::MemoryKind::shared);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::device_unavailable);
}

TEST_CASE("kv cache: a step that stores nothing attends to the rows of another model's cache as their owner does") {
    ModelConfig c = small(20);
    auto cache = whole_cache(c, runtime::KvFormat::f16, 100);
    REQUIRE(cache);
    REQUIRE(cache->reserve(0, 60));
    KvScratch scratch;
    REQUIRE(cache->reserve_scratch(scratch, 40));
    std::vector<runtime::Buffer> buffers;
    uint32_t random = 9;
    const auto fill = [&](float* values, int64_t count) {
        for (int64_t i = 0; i < count; ++i) {
            random = random * 1664525 + 1013904223;
            values[i] = static_cast<float>(static_cast<int32_t>(random)) * 0x1p-31f;
        }
    };
    const auto matrix = [&](int64_t rows, int64_t cols) {
        buffers.push_back(test::allocate(device(), rows * cols * 4));
        const runtime::TensorView m = runtime::view(buffers.back(), runtime::Format::f32, rows, cols);
        fill(runtime::host_floats(m), rows * cols);
        return m;
    };
    // A step of `queries` tokens of which `columns` are stored; those that store nothing see what token 40 did.
    const auto begin = [&](int32_t position, int32_t columns, int32_t queries) {
        runtime::StepShape shape;
        shape.columns = queries;
        shape.pairs = {2, 2};
        shape.head_dim = 32;
        const runtime::StepInputs inputs = test::begin_step(device(), shape);
        inputs.position() = position;
        cache->plan_step(position, columns, inputs.kv(KvClass::window), inputs.kv(KvClass::linear));
        for (const KvClass kv : {KvClass::window, KvClass::linear}) {
            fill(inputs.cosine(kv), queries * 2);
            fill(inputs.sine(kv), queries * 2);
            for (int32_t t = 0; t < queries; ++t) {
                inputs.last(kv)[t] = columns == 0 ? position : position + t + 1;
                inputs.first(kv)[t] = kv == KvClass::window ? std::max(0, inputs.last(kv)[t] - 20) : 0;
            }
        }
    };
    for (const int32_t index : {0, 1}) {
        const int64_t dim = c.layers[static_cast<size_t>(index)].head_dim;
        const runtime::TensorView weight = matrix(1, dim), q = matrix(1, 2 * dim), own = matrix(1, 2 * dim), other = matrix(1, 2 * dim);
        // A prompt through the scratch, then a token straight to its place; the owner's query is that token's.
        for (const auto& [position, columns] : {std::pair{0, 40}, std::pair{40, 1}}) {
            begin(position, columns, columns);
            const runtime::KvView view = cache->layer(index, columns, scratch);
            device().norm_rope_store(matrix(columns, dim), matrix(columns, dim), weight, 1e-6f, view);
            if (columns == 1) device().attention(q, view, own);
            if (view.scratch) device().commit_kv(view);
        }
        begin(41, 0, 1);
        device().attention(q, cache->layer(index, 0, scratch), other);
        CHECK(std::memcmp(runtime::host_floats(own), runtime::host_floats(other), static_cast<size_t>(2 * dim) * 4) == 0);
    }
}

TEST_CASE("kv cache: q8_0 needs heads of whole blocks, and says so") {
    const auto cache = whole_cache(small(8), runtime::KvFormat::q8_0, 64);
    REQUIRE(!cache);
    CHECK(cache.error().code == Errc::invalid_argument);
    CHECK(cache.error().message.find("16") != std::string::npos);
}

TEST_CASE("kv cache: the 12B cache has the size of the specification") {
    ModelConfig c;
    c.window = 1024;
    for (int i = 0; i < 48; ++i)
        c.layers.push_back(i % 6 == 5 ? LayerConfig{LayerKind::full, 1, 512, true}
                                      : LayerConfig{LayerKind::sliding, 8, 256, false});
    const uint64_t mib = 1 << 20;
    // 320 MiB of windows and, at 4096 tokens, 64 MiB of complete rows in full layers or 40 MiB of rows with 640
    // instead of 1024 values, plus the ring's slack of 16 rows.
    const uint64_t slack = uint64_t{40} * kRingSlack * 8192;
    CHECK(KvCache::bytes_for(c, runtime::KvFormat::f16, 4096) == 384 * mib + slack);
    c.full_rope.pairs = 64;
    CHECK(KvCache::bytes_for(c, runtime::KvFormat::f16, 4096) == 360 * mib + slack);
    auto cache = whole_cache(c, runtime::KvFormat::f16, 64);
    REQUIRE(cache);
    REQUIRE(cache->reserve(0, 64));
    CHECK(cache->bytes() == KvCache::bytes_for(c, runtime::KvFormat::f16, 64));
    CHECK(cache->read_bytes(63) == 64 * (40 * 8192 + 8 * 1280));
}

TEST_CASE("kv cache: what a reservation takes is known before") {
    const ModelConfig c = small(50);
    auto cache = whole_cache(c, runtime::KvFormat::f16, 3 * kSegmentRows);
    REQUIRE(cache);
    for (const auto& [begin, end] : {std::pair{0, 10}, {10, kSegmentRows}, {kSegmentRows - 1, 2 * kSegmentRows + 5}}) {
        const uint64_t before = cache->bytes(), growth = cache->growth(begin, end);
        CHECK((growth > 0) == (end != kSegmentRows));
        REQUIRE(cache->reserve(begin, end));
        CHECK(cache->bytes() == before + growth);
    }
    const uint64_t all = cache->bytes();
    const auto fork = cache->fork(2 * kSegmentRows + 5);
    REQUIRE(fork);
    const uint64_t segment = (all - cache->bytes()) / 2;  // two of three are shared
    CHECK(segment > 0);
    CHECK(cache->growth(kSegmentRows + 1, 2 * kSegmentRows + 5) == segment);
    REQUIRE(cache->reserve(kSegmentRows + 1, 2 * kSegmentRows + 5));
    CHECK(cache->bytes() == all - segment);
}

TEST_CASE("kv cache: the caches of the parts of a model hold together what one cache of all its layers holds") {
    ModelConfig c = small(50);
    c.layers.insert(c.layers.end(), 3, c.layers[0]);
    const auto whole = whole_cache(c, runtime::KvFormat::f16, 200);
    REQUIRE(whole);
    const auto layers = static_cast<int32_t>(c.layers.size());
    for (int32_t cut = 0; cut <= layers; ++cut) {
        uint64_t bytes = 0, read = 0;
        for (const auto& [first, last] : {std::pair{0, cut}, {cut, layers}}) {
            auto part = KvCache::create(device(), c, first, last, runtime::KvFormat::f16, 200);
            REQUIRE(part);
            REQUIRE(part->reserve(0, 200));
            bytes += part->bytes();
            read += part->read_bytes(99);
            for (int32_t l = first; l < last; ++l) CHECK(part->layer(l, 1, {}).dim == c.layers[static_cast<size_t>(l)].head_dim);
        }
        CHECK(bytes == KvCache::bytes_for(c, runtime::KvFormat::f16, 200));
        CHECK(read == whole->read_bytes(99));
    }
}

TEST_CASE("kv cache: key rows are short only where a layer's keys are its values and the pieces are whole units") {
    ModelConfig c = small(8);
    c.sliding_rope.pairs = c.full_rope.pairs = 4;
    LayerConfig full{LayerKind::full, 1, 128, true};
    const auto pairs = [&](int32_t rotated, runtime::KvFormat format) {
        c.full_rope.pairs = rotated;
        return key_pairs(c, full, format);
    };
    using runtime::KvFormat;
    CHECK(pairs(32, KvFormat::f16) == 32);
    CHECK(pairs(32, KvFormat::q8_0) == 32);
    CHECK(pairs(6, KvFormat::f32) == 6);
    CHECK(pairs(6, KvFormat::q8_0) == 0);   // not a block of 32
    CHECK(pairs(5, KvFormat::f16) == 0);    // not whole pairs of values
    CHECK(pairs(64, KvFormat::f16) == 0);   // everything turns
    CHECK(pairs(0, KvFormat::f16) == 0);
    full.k_eq_v = false;
    CHECK(pairs(32, KvFormat::f16) == 0);
    CHECK(key_pairs(c, {LayerKind::sliding, 1, 16, true}, KvFormat::f16) == 0);  // a ring
}
