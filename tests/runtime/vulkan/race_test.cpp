// Races of tunings on the test's device: winners serve, are remembered, and are never those that fail their self-test.
#include "runtime/vulkan/race.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/vulkan_rig.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::VulkanRig;

constexpr int64_t kK = 256, kRows = 64;
constexpr int64_t kMany = 70;

// A device with one matrix, which it multiplies.
struct Racer {
    explicit Racer(const std::filesystem::path& folder, double race_seconds) {
        VulkanOptions options{.cache_folder = folder};
        options.race_seconds = race_seconds;
        auto made = VulkanDevice::create(VulkanRig::get().context, options);
        REQUIRE_MESSAGE(made, made.error().message);
        device = std::move(*made);
        auto host = allocate_host(static_cast<size_t>(kRows * kernels::row_bytes(Format::q4_0, kK)));
        REQUIRE(host);
        auto weights = device->place(view(*host, Format::q4_0, kRows, kK), Use::matrix, {});
        REQUIRE(weights);
        placed = std::move(*weights);
        x = *device->allocate(static_cast<size_t>(kMany * kK) * 4, MemoryKind::readback);
        out = *device->allocate(static_cast<size_t>(kMany * kRows) * 4, MemoryKind::readback);
    }
    ~Racer() { VulkanRig::get().check_messages(); }

    Result<void> multiply(int64_t columns) {
        const StepShape shape{.kind = StepKind::rows, .columns = static_cast<int32_t>(columns), .widest = kK};
        LAP_TRY(device->begin({.shape = shape, .weights = new_identity()}, {}));
        const MatmulPart part{.weights = placed.view, .out = view(out, Format::f32, columns, kRows)};
        device->matmul({&part, 1}, view(x, Format::f32, columns, kK));
        device->end();
        return device->wait(device->submit());
    }
    // Of the dispatch that multiplies: threads, ...
    PipelineKey pipeline(int64_t columns) const {
        std::vector<Dispatch> dispatches;
        const MatmulPart part{.weights = placed.view, .out = view(out, Format::f32, columns, kRows)};
        const TensorView in = view(x, Format::f32, columns, kK);
        device->products().matmul({&part, 1}, in, range_of(in), true, dispatches);
        return dispatches.back().pipeline;
    }
    std::string race(int64_t columns) const { return name(*device->products().class_of(placed.view, columns)); }
    // "64x2" or "256x64x64x4" of the constants that serve; a mat-vec's panels shrink with its rows, and are left out.
    std::string serves(int64_t columns) const {
        const auto [shader, c, subgroup] = pipeline(columns);
        const uint32_t needs = row_of(shader).needs;
        if (needs & kMatrixInt8) return name(MatrixTuning{MatrixKind::int8, c[1], c[2], c[3], c[4]});
        if (needs & kMatrixHalf) return name(MatrixTuning{MatrixKind::half, c[1], c[2], c[3], c[4]});
        if (columns <= kMatvecColumns) return std::to_string(c[0]);
        return name(MatmulTuning{c[0], c[1], c[2], c[3]});
    }

    std::unique_ptr<VulkanDevice> device;
    Placed placed;
    Buffer x, out;
};

std::string threads_of(const std::string& tuning) { return tuning.substr(0, tuning.find('x')); }

TEST_CASE("race: winners are recorded, serve, and are remembered by the next device") {
    const test::ScratchFolder folder;
    std::string few, many;
    {
        Racer racer(folder.path(), 3);  // for two races, on a busy machine too
        REQUIRE(racer.multiply(1));
        REQUIRE(racer.multiply(kMany));
        const auto won = racer.device->verdicts()->winner(racer.race(1)), tile = racer.device->verdicts()->winner(racer.race(kMany));
        REQUIRE(won);
        REQUIRE(tile);
        few = *won;
        many = *tile;
        CHECK(racer.serves(1) == threads_of(few));
        CHECK(racer.serves(kMany) == many);
    }
    Racer next(folder.path(), 0);  // no race: only what was remembered
    const size_t known = next.device->verdicts()->count();
    next.device->pipelines().finish_warming();
    REQUIRE(next.multiply(1));
    REQUIRE(next.multiply(kMany));
    CHECK(next.serves(1) == threads_of(few));
    CHECK(next.serves(kMany) == many);
    CHECK(next.device->verdicts()->count() == known);
    CHECK(next.device->pipelines().waited_for() == 0);
}

// All but one are said to have failed: the one is not what serves without a race.
TEST_CASE("race: what fails its self-test never wins") {
    const test::ScratchFolder folder;
    std::string last;
    {
        Racer racer(folder.path(), 0);
        const auto candidates = racer.device->products().candidates(racer.placed.view, 1);
        last = name(candidates.back());
        Verdicts& verdicts = *racer.device->verdicts();
        const std::string shader = racer.device->products().name_of(Format::q4_0, Layout::panels, kK, 1);
        for (size_t i = 0; i + 1 < candidates.size(); ++i)
            REQUIRE(verdicts.finish(shader + " " + name(candidates[i]) + " k256 t1", false, "for the test"));
    }
    Racer racer(folder.path(), 0.01);
    REQUIRE(racer.multiply(1));
    CHECK(racer.device->verdicts()->winner(racer.race(1)) == last);
    CHECK(racer.serves(1) == threads_of(last));
}

TEST_CASE("race: none where none is asked for, or where one did not come back") {
    const test::ScratchFolder folder;
    const std::string untuned = "64";
    {
        Racer racer(folder.path(), 0);
        REQUIRE(racer.multiply(1));
        CHECK_FALSE(racer.device->verdicts()->winner(racer.race(1)));
        CHECK(racer.serves(1) == untuned);
        REQUIRE(racer.device->verdicts()->begin("race " + racer.race(1)));
    }
    Racer racer(folder.path(), 0.01);
    REQUIRE(racer.multiply(1));
    CHECK_FALSE(racer.device->verdicts()->winner(racer.race(1)));
    CHECK(racer.serves(1) == untuned);
}

// The winner is known, and fails with other columns.
TEST_CASE("race: a winner that fails where it serves makes room for what serves untuned, for good") {
    const test::ScratchFolder folder;
    {
        Racer racer(folder.path(), 0);
        Verdicts& verdicts = *racer.device->verdicts();
        const std::string shader = racer.device->products().name_of(Format::q4_0, Layout::panels, kK, 2);
        REQUIRE(verdicts.record(racer.race(2), "128x1", 1.2));
        REQUIRE(verdicts.finish(shader + " 128x1 k256 t2", false, "for the test"));
    }
    Racer racer(folder.path(), 0);
    REQUIRE(racer.multiply(1));
    CHECK(racer.serves(1) == "128");
    REQUIRE(racer.multiply(2));
    CHECK(racer.serves(1) == "64");
    CHECK(racer.device->verdicts()->winner(racer.race(2)) == "64x2");
}

}  // namespace
