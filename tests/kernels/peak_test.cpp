// The loops that measure a level's arithmetic: they count what they do, and vectors beat scalars.
#include <doctest/doctest.h>
#include <time.h>

#include <algorithm>
#include <string_view>

#include "kernels/select.h"

using namespace lapidary::kernels;

namespace {

double thread_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Best of five, multiply-adds per second.
double rate(const KernelTable& table) {
    double best = 0;
    for (int i = 0; i < 5; ++i) {
        const double start = thread_seconds();
        const int64_t macs = table.peak(20000);
        best = std::max(best, static_cast<double>(macs) / (thread_seconds() - start));
    }
    return best;
}

}  // namespace

TEST_CASE("peak: multiply-adds in proportion to the iterations, and faster with vectors") {
    const double scalar = rate(*levels().front().table);
    for (const KernelTable* table : runnable_tables()) {
        CAPTURE(table->isa);
        REQUIRE(static_cast<bool>(table->peak));
        CHECK(table->peak(0) == 0);
        CHECK(table->peak(7) == 7 * table->peak(1));
        // 8 to 64 multiply-adds per instruction against 1: even a narrow core keeps a factor of two.
        if (std::string_view(table->isa) != "ref") CHECK(rate(*table) > 2 * scalar);
        MESSAGE(std::string_view(table->isa) << ": " << rate(*table) / 1e9 << " GMAC/s");
    }
}
