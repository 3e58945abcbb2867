// Chunks never cut a picture; masks are those of the specification; rotation angles at the far end.
#include "model/step.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "tests/support/device_step.h"

using namespace lapidary::model;
using lapidary::runtime::KvClass;

namespace {

// Rows of width 8, all of them the position.
SoftRows block(int32_t position, int32_t count, bool picture = true) {
    return {position, count, picture, std::vector<float>(static_cast<size_t>(count) * 8, static_cast<float>(position))};
}

}  // namespace

TEST_CASE("step: a chunk ends before a picture, or takes it whole") {
    const SoftRows soft[] = {block(10, 20), block(31, 5), block(40, 8, false)};
    CHECK(chunk_end(0, 100, 5, soft) == 5);
    CHECK(chunk_end(0, 100, 10, soft) == 10);
    CHECK(chunk_end(0, 100, 11, soft) == 10);
    CHECK(chunk_end(0, 100, 29, soft) == 10);
    CHECK(chunk_end(0, 100, 30, soft) == 30);
    CHECK(chunk_end(10, 100, 4, soft) == 30);
    CHECK(chunk_end(30, 100, 3, soft) == 31);
    CHECK(chunk_end(36, 100, 7, soft) == 43);  // sound may be cut anywhere
    CHECK(chunk_end(90, 100, 64, soft) == 100);
}

TEST_CASE("step: visible positions follow window, blocks and the research switch") {
    ModelConfig c;
    c.hidden = 8;
    c.ffn = 8;
    c.vocab = 8;
    c.heads = 1;
    c.window = 6;
    c.layers = {{LayerKind::sliding, 1, 8, false}, {LayerKind::full, 1, 8, true}};
    c.sliding_rope = {10000.0, 4};
    c.full_rope = {1000000.0, 1};
    lapidary::runtime::CpuDevice device(*lapidary::kernels::select("ref", nullptr), 1, true);
    auto kv = KvCache::create(device, c, 0, static_cast<int32_t>(c.layers.size()), lapidary::runtime::KvFormat::f32, 64);
    REQUIRE(kv);
    const std::vector<int32_t> ids(20, 3);
    const SoftRows soft[] = {block(4, 9), block(15, 3, false)};
    for (const bool everywhere : {false, true}) {
        const Step step{.ids = ids, .soft = soft, .rows_wanted = 1, .blocks_everywhere = everywhere};
        const auto in = lapidary::test::begin_step(device, shape_of(c, step, false));
        write_inputs(c, *kv, step, nullptr, in);
        for (int32_t q = 0; q < 20; ++q) {
            const bool in_block = q >= 4 && q < 13;
            const size_t i = static_cast<size_t>(q);
            CHECK(in.first(KvClass::window)[i] == std::max(0, q - 5));
            CHECK(in.last(KvClass::window)[i] == (in_block ? 13 : q + 1));
            CHECK(in.first(KvClass::linear)[i] == 0);
            CHECK(in.last(KvClass::linear)[i] == (in_block && everywhere ? 13 : q + 1));
            if (in.ids()[i] < 0) CHECK(in.rows()[i * 8 + 7] == (in_block ? 4.0f : 15.0f));
            CHECK(in.ids()[i] == (in_block || (q >= 15 && q < 18) ? -1 : 3));
        }
    }
}

TEST_CASE("step: rotation at position 262,143 agrees with double precision on the f32 angle") {
    ModelConfig c;
    c.hidden = 8;
    c.ffn = 8;
    c.vocab = 8;
    c.heads = 1;
    c.window = 4;
    c.layers = {{LayerKind::sliding, 1, 256, false}};
    c.sliding_rope = {10000.0, 128};
    c.full_rope = {1000000.0, 64};
    lapidary::runtime::CpuDevice device(*lapidary::kernels::select("ref", nullptr), 1, true);
    auto kv = KvCache::create(device, c, 0, static_cast<int32_t>(c.layers.size()), lapidary::runtime::KvFormat::f32, 262144);
    REQUIRE(kv);
    const int32_t id = 1;
    const Step step{.position = 262143, .ids = {&id, 1}, .rows_wanted = 1};
    const auto in = lapidary::test::begin_step(device, shape_of(c, step, false));
    write_inputs(c, *kv, step, nullptr, in);
    const float* cosine = in.cosine(KvClass::window);
    for (int i = 0; i < 128; ++i) {
        const double exact = 262143.0 * std::pow(10000.0, -2.0 * i / 256);
        // The f32 frequency and the f32 product each carry half an ulp: 2^-24 relative, twice.
        const double bound = exact * std::ldexp(1.0, -23) + 1e-7;
        CHECK(std::abs(cosine[i] - std::cos(exact)) <= bound);
    }
}
