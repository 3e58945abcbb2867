// Google Benchmark over the kernel table: every function that this CPU can run, in the shapes of the 12B. Each case checks
// its result once before it is timed. Counters: GB/s, GMAC/s, percent of the int8 peak measured in this process on
// one thread. Processor time counts, so that a busy machine disturbs little. Run it pinned to one core.
#include <iostream>

#include "bench/support.h"

using namespace lapidary::bench;

namespace {

void peak(benchmark::State& state, const KernelRow& row) {
    int64_t macs = 0;
    for (auto _ : state) macs = row.table->peak(512).macs;
    count(state, row, 0, static_cast<double>(macs));
}

bool register_peak(const KernelRow& row) { return row.op == "peak" && add(row, name_of(row), peak); }

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    for (const KernelRow& row : rows()) {
        if (!row.own || !row.table) continue;
        if (register_peak(row) || register_matmul(row) || register_panels(row) || register_rows(row) || register_attention(row))
            continue;
        std::cerr << "no benchmark times " << row.function << ": add one to bench/\n";
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
}
