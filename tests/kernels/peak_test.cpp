// The loops that measure a level's arithmetic count what they do. How fast they are is for the benches to say.
#include <doctest/doctest.h>

#include "kernels/select.h"
#include "tests/kernels/avxvnni_emulated.h"

using namespace lapidary::kernels;

TEST_CASE("peak: multiply-adds in proportion to the iterations") {
    auto tables = runnable_tables();
    if (const KernelTable* emulated = lapidary::test::avxvnni_emulated()) tables.push_back(emulated);
    for (const KernelTable* table : tables) {
        CAPTURE(table->isa);
        REQUIRE(static_cast<bool>(table->peak));
        CHECK(table->peak(0) == 0);
        CHECK(table->peak(1) > 0);
        CHECK(table->peak(7) == 7 * table->peak(1));
        CHECK(table->peak(20000) == 20000 * table->peak(1));
    }
}
