// The loops that measure a level's arithmetic count what they do and say with what. How fast they are is for the
// benches to say; that their sums stay in registers is checked in the machine code (scripts/check_peak.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/kernels/walk.h"

using namespace lapidary::kernels;

namespace {

const lapidary::test::Walk kPeak({"peak"}, lapidary::test::Compare::values);

// What a probe must keep in flight: the instructions that the widest core known starts per cycle, times the cycles
// that a sum then waits.
struct Need {
    std::string instruction;
    int per_cycle, cycles;
};
const std::vector<Need> kNeeds = {
    {"scalar multiply-add", 2, 5},  // imul and add; madd on arm64
    {"vpmaddubsw ymm", 4, 1},       // waits for an addition alone
    {"vpdpbusd ymm", 2, 5},
    {"vpdpbusd zmm", 2, 5},
    {"smlal 8h", 4, 4},
    {"sdot 4s", 4, 4},
    {"smmla 4s", 4, 4},
};

}  // namespace

TEST_CASE("peak: multiply-adds in proportion to the iterations") {
    for (const KernelRow& row : kPeak.rows()) {
        CAPTURE(row.isa);
        REQUIRE(static_cast<bool>(row.table->peak));
        CHECK(row.table->peak(0).macs == 0);
        CHECK(row.table->peak(1).macs > 0);
        CHECK(row.table->peak(7).macs == 7 * row.table->peak(1).macs);
        CHECK(row.table->peak(2000).macs == 2000 * row.table->peak(1).macs);
    }
}

TEST_CASE("peak: names its instruction, and has more sums than any core makes wait") {
    for (const KernelRow& row : kPeak.rows()) {
        const Peak peak = row.table->peak(0);
        CAPTURE(row.isa);
        CAPTURE(peak.instruction);
        const auto need = std::find_if(kNeeds.begin(), kNeeds.end(), [&](const Need& n) { return n.instruction == peak.instruction; });
        REQUIRE(need != kNeeds.end());
        CHECK(peak.sums >= need->per_cycle * need->cycles);
        CHECK(peak.macs == 0);
        CHECK(row.table->peak(1).macs % peak.sums == 0);  // every sum as often as the others
    }
}
