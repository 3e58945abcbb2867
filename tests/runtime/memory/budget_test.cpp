#include "runtime/memory/budget.h"

#include <doctest/doctest.h>

#include <vector>

#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

using namespace lapidary::runtime;

TEST_CASE("budget: plausible figures, and the peak grows with touched memory") {
    const Memory m = memory();
    CHECK(m.total_bytes > (uint64_t{64} << 20));
    CHECK(m.available_bytes > 0);
    CHECK(m.available_bytes <= m.total_bytes);
    const uint64_t before = peak_rss_bytes();
    // More than the peak so far, whatever ran before in this process.
    const auto buffer = allocate_host(before + (size_t{64} << 20));
    REQUIRE(buffer);
    for (size_t i = 0; i < (*buffer)->bytes; i += 4096) host_bytes(**buffer)[i] = std::byte{1};
    CHECK(peak_rss_bytes() >= before + (uint64_t{32} << 20));
}
