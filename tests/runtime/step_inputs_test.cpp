// The arrays of a block: aligned, apart from each other, at the same place for the same shape.
#include "runtime/step_inputs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

using namespace lapidary::runtime;

namespace {

struct alignas(64) Line {
    std::byte bytes[64];
};

// A block of the shape, and every array in it as (address, bytes).
struct Block {
    explicit Block(const StepShape& shape) : lines(StepInputs::bytes(shape) / 64 + 1), in(&lines[0].bytes[0], shape) {
        const auto add = [&](auto* at, size_t count) {
            arrays.push_back({reinterpret_cast<const std::byte*>(at), count * sizeof(*at)});
        };
        const auto columns = static_cast<size_t>(shape.columns);
        add(&in.position(), 1);
        add(in.ids(), columns);
        if (shape.kind == StepKind::picture) add(in.second_ids(), columns);
        if (shape.kind == StepKind::tokens)
            for (const KvClass c : {KvClass::window, KvClass::linear}) {
                add(&in.kv(c), 1);
                add(in.first(c), columns);
                add(in.last(c), columns);
                add(in.cosine(c), columns * static_cast<size_t>(in.pairs(c)));
                add(in.sine(c), columns * static_cast<size_t>(in.pairs(c)));
            }
        add(in.mask(), static_cast<size_t>(shape.mask_words));
        add(in.rows(), columns * static_cast<size_t>(shape.row_width));
    }

    std::vector<Line> lines;
    StepInputs in;
    std::vector<std::pair<const std::byte*, size_t>> arrays;
};

const StepShape kShapes[] = {
    {.columns = 1, .pairs = {128, 64}},
    {.columns = 7, .row_width = 33, .pairs = {3, 0}, .mask_words = 5},
    {.kind = StepKind::picture, .columns = 9, .row_width = 48},
    {.kind = StepKind::rows, .columns = 3, .mask_words = 1},
};

}  // namespace

TEST_CASE("step inputs: arrays are aligned, inside the block and apart") {
    for (const StepShape& shape : kShapes) {
        Block b(shape);
        std::sort(b.arrays.begin(), b.arrays.end());
        const auto* end = &b.lines[0].bytes[0];
        for (const auto& [at, bytes] : b.arrays) {
            CHECK(at >= end);
            CHECK(reinterpret_cast<uintptr_t>(at) % 64 == 0);
            end = at + bytes;
        }
        CHECK(end <= &b.lines[0].bytes[0] + StepInputs::bytes(shape));
        CHECK(b.in.has_mask() == (shape.mask_words > 0));
        CHECK(b.in.row_width() == shape.row_width);
    }
}

TEST_CASE("step inputs: everything but the rows crosses to a block with rows of another width") {
    for (StepShape shape : kShapes) {
        Block from(shape);
        std::fill_n(&from.lines[0].bytes[0], StepInputs::bytes(shape), std::byte{7});
        shape.row_width = 5;
        Block to(shape);
        std::fill_n(reinterpret_cast<std::byte*>(to.in.rows()), 5 * sizeof(float), std::byte{9});
        from.in.copy_to(to.in);
        for (size_t a = 0; a + 1 < to.arrays.size(); ++a)
            for (size_t i = 0; i < to.arrays[a].second; ++i) REQUIRE(to.arrays[a].first[i] == std::byte{7});
        CHECK(*reinterpret_cast<const std::byte*>(to.in.rows()) == std::byte{9});
    }
}

TEST_CASE("step inputs: identities are never used twice, from any thread") {
    std::vector<uint64_t> seen[2];
    std::thread other([&] {
        for (int i = 0; i < 1000; ++i) seen[0].push_back(new_identity());
    });
    for (int i = 0; i < 1000; ++i) seen[1].push_back(new_identity());
    other.join();
    std::vector<uint64_t> all = seen[0];
    all.insert(all.end(), seen[1].begin(), seen[1].end());
    std::sort(all.begin(), all.end());
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
    CHECK(all.front() > 0);
}
