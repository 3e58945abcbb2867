// Weights on their way to a device: blocks that they share, progress, and a user who stops. What is multiplied with them then
// is in products_test.cpp.
#include "runtime/vulkan/vulkan_weights.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "runtime/memory/host_access.h"
#include "tests/support/vulkan_chain.h"

using namespace lapidary;
namespace {

using namespace runtime;
using test::VulkanFaults;

Buffer source_of(size_t bytes) {
    auto made = allocate_host(bytes);
    REQUIRE(made);
    for (size_t i = 0; i < bytes; ++i) host_bytes(**made)[i] = static_cast<std::byte>(i * 31 >> 3);
    return *made;
}

TEST_CASE("weights: rows arrive as they were, side by side in one block, from any place of their source") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto device = test::make_device(faults);
        const Buffer source = source_of(1 << 16);
        std::vector<Placed> placed;
        std::vector<TensorView> views;
        for (const size_t offset : {0, 4, 1028}) {
            views.push_back(view(source, Format::f32, 3, 100, offset));
            views.back().row_bytes = 512;  // with gaps, which stay behind
            auto done = device->place(views.back(), Use::values, {});
            REQUIRE(done);
            CHECK_FALSE(done->in_source);
            placed.push_back(std::move(*done));
        }
        CHECK(faults.allocations <= 2);  // a block, and staging
        for (size_t i = 0; i < placed.size(); ++i) {
            CHECK(placed[i].view.row_bytes == 400);
            const std::byte* got = device->read(placed[i].view);
            REQUIRE(got);
            for (int64_t r = 0; r < 3; ++r) CHECK(std::memcmp(got + r * 400, host_bytes(views[i]) + r * 512, 400) == 0);
        }
    }
}

TEST_CASE("weights: progress ends at the matrix's bytes, and false stops") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto device = test::make_device(faults);
        const int64_t rows = 5000, bytes = rows * 4096;  // three slices
        const Buffer source = source_of(static_cast<size_t>(bytes));
        const TensorView matrix = view(source, Format::f32, rows, 1024);
        std::vector<int64_t> told;
        REQUIRE(device->place(matrix, Use::values, [&](int64_t done) {
            told.push_back(done);
            return true;
        }));
        CHECK(told.size() == 3);
        CHECK(told.back() == bytes);
        const auto stopped = device->place(matrix, Use::values, [&](int64_t) { return false; });
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().code == Errc::cancelled);
        CHECK(device->place(view(source, Format::f32, 1, 64), Use::values, {}));
    }
}

}  // namespace
