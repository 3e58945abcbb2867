// Bytes to a card and back: in pieces, at offsets, and when the device fails under way.
#include "runtime/vulkan/transfers.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/vulkan_faults.h"

using namespace lapidary;
namespace {

using namespace runtime::vulkan;
using test::VulkanFaults;

std::shared_ptr<VulkanBuffer> buffer(const VulkanFaults& faults, uint64_t bytes) {
    auto made = allocate_buffer(faults.context, bytes, Memory::device, "test");
    REQUIRE_MESSAGE(made, made.error().message);
    return *made;
}

std::vector<std::byte> bytes_of(Transfers& transfers, const VulkanBuffer& from) {
    const auto read = transfers.read(from, 0, from.bytes);
    REQUIRE_MESSAGE(read, read.error().message);
    return {*read, *read + from.bytes};
}

TEST_CASE("transfers: written in pieces, copied and filled at offsets, read back") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto queue = Queue::create(faults.context);
        REQUIRE(queue);
        Transfers transfers(**queue);
        const auto a = buffer(faults, 1000), b = buffer(faults, 1000);
        CHECK((a->mapped() == nullptr) == (memory == VulkanFaults::Memory::card));
        REQUIRE(transfers.fill(*a, 0xAAAAAAAA));
        REQUIRE(transfers.fill(*b, 0xBBBBBBBB));
        std::vector<uint64_t> pieces;
        REQUIRE(transfers.write(*a, 100, 250, 64, [&](std::byte* to, uint64_t from, uint64_t count) {
            pieces.push_back(from);
            for (uint64_t i = 0; i < count; ++i) to[i] = static_cast<std::byte>(from + i);
            return true;
        }));
        CHECK(pieces == std::vector<uint64_t>{0, 64, 128, 192});
        REQUIRE(transfers.copy(*a, 90, *b, 400, 300));
        REQUIRE(transfers.copy(*a, 0, *b, 0, 0));
        const auto in_a = bytes_of(transfers, *a), in_b = bytes_of(transfers, *b);
        size_t wrong = 0;
        for (size_t i = 0; i < 1000; ++i) {
            const auto wanted = [](size_t at) { return at >= 100 && at < 350 ? static_cast<std::byte>(at - 100) : std::byte{0xAA}; };
            wrong += in_a[i] != wanted(i);
            wrong += in_b[i] != (i >= 400 && i < 700 ? wanted(i - 310) : std::byte{0xBB});
        }
        CHECK(wrong == 0);
    }
}

TEST_CASE("transfers: downloads longer than their staging, from an offset") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto queue = Queue::create(faults.context);
        REQUIRE(queue);
        Transfers transfers(**queue);
        constexpr uint64_t kWords = (2 * kTransferPiece + 4096) / 4;
        const auto a = buffer(faults, kWords * 4);
        REQUIRE(transfers.write(*a, 0, kWords * 4, kTransferPiece, [&](std::byte* to, uint64_t from, uint64_t count) {
            for (uint64_t i = 0; i < count; i += 4) {
                const auto word = static_cast<uint32_t>((from + i) / 4);
                std::memcpy(to + i, &word, 4);
            }
            return true;
        }));
        std::vector<uint32_t> words(kWords - 100);
        REQUIRE(transfers.download(*a, 400, std::as_writable_bytes(std::span(words))));
        size_t wrong = 0;
        for (size_t i = 0; i < words.size(); ++i) wrong += words[i] != i + 100;
        CHECK(wrong == 0);
        REQUIRE(transfers.download(*a, 0, {}));
    }
}

TEST_CASE("transfers: a device that is lost and staging that finds no room are errors, and the next transfer is tried") {
    VulkanFaults faults(VulkanFaults::Memory::card);
    const auto queue = Queue::create(faults.context);
    REQUIRE(queue);
    Transfers transfers(**queue);
    const auto a = buffer(faults, 1000);
    const auto write = [&] {
        return transfers.write(*a, 0, 1000, 500, [](std::byte* to, uint64_t, uint64_t n) {
            std::memset(to, 1, n);
            return true;
        });
    };
    faults.memory.once(1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    const auto full = write();
    REQUIRE_FALSE(full);
    CHECK(full.error().code == Errc::out_of_memory);
    CHECK(full.error().message.find("no room for staging") != std::string::npos);
    faults.submit.once(2, VK_ERROR_DEVICE_LOST);
    const auto lost = write();
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code == Errc::device_lost);
    faults.wait.once(1, VK_ERROR_DEVICE_LOST);
    const auto unread = transfers.read(*a, 0, 1000);
    REQUIRE_FALSE(unread);
    CHECK(unread.error().code == Errc::device_lost);
    REQUIRE(write());
    CHECK(bytes_of(transfers, *a) == std::vector<std::byte>(1000, std::byte{1}));
}

}  // namespace
