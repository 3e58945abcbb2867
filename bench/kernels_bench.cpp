// Google Benchmark over the kernel table: every row that this CPU can run, in the shapes of the 12B. Each case checks
// its result once before it is timed. Counters: GB/s, GMAC/s, percent of the int8 peak measured in this process on
// one thread. Processor time counts, so that a busy machine disturbs little. Run it pinned to one core.
#include "bench/support.h"

using namespace lapidary::bench;

namespace {

void peak(benchmark::State& state, const KernelRow& row, const KernelTable& table) {
    int64_t macs = 0;
    for (auto _ : state) macs = table.peak(512).macs;
    count(state, row, table, 0, static_cast<double>(macs));
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    for (const KernelRow& row : rows()) {
        const KernelTable* table = table_of(row);
        if (!table) continue;
        if (row.op == "peak")
            benchmark::RegisterBenchmark(name_of(row).c_str(), [&row, table](benchmark::State& s) { peak(s, row, *table); });
        register_matmul(row, *table);
        register_panels(row, *table);
        register_rows(row, *table);
    }
    benchmark::RunSpecifiedBenchmarks();
}
