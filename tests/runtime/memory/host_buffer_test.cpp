#include "runtime/memory/host_buffer.h"

#include <doctest/doctest.h>

#include "runtime/memory/host_access.h"

using namespace lapidary;
using namespace lapidary::runtime;

TEST_CASE("host buffer: zeroed, aligned, writable, the absurd is refused with its size") {
    const auto buffer = allocate_host(10000);
    REQUIRE(buffer);
    CHECK(reinterpret_cast<uintptr_t>(host_bytes(**buffer)) % 64 == 0);
    for (size_t i = 0; i < 10000; ++i) REQUIRE(host_bytes(**buffer)[i] == std::byte{0});
    host_bytes(**buffer)[9999] = std::byte{1};
    CHECK(allocate_host(0).has_value());
    const auto absurd = allocate_host(size_t{1} << 60);
    REQUIRE(!absurd);
    CHECK(absurd.error().code == Errc::out_of_memory);
    CHECK(absurd.error().message.find(std::to_string(size_t{1} << 50)) != std::string::npos);
}
