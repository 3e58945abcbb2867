#include "runtime/cpu/topology.h"

#include <doctest/doctest.h>
#include <sched.h>

using namespace lapidary::runtime;

TEST_CASE("topology: the affinity mask limits the cores") {
    cpu_set_t all;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    CHECK(usable_cores() >= 1);
    CHECK(usable_cores() <= CPU_COUNT(&all));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    }
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(usable_cores() == 1);
    REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
    CHECK(!cpu_name().empty());
}
