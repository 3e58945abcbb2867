// What a phase of the thread pool costs when there is nothing to do: the price of every barrier of a token. Names:
// phase/threads:<n>. Wall time; a machine with other work shows that work.
#include "bench/support.h"
#include "runtime/cpu/thread_pool.h"

namespace {

void phase(benchmark::State& state) {
    const int threads = static_cast<int>(state.range(0));
    lapidary::runtime::ThreadPool pool(threads);
    int64_t ran = 0;
    pool.run(threads, [&](int64_t item, int) { __atomic_fetch_add(&ran, item + 1, __ATOMIC_RELAXED); });
    if (ran != int64_t{threads} * (threads + 1) / 2) return state.SkipWithError("wrong result");
    for (auto _ : state) pool.run(threads, [](int64_t, int) {});
    state.counters["phases/s"] = benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(phase)->ArgName("threads")->Arg(1)->Arg(2)->Arg(4)->UseRealTime();

}  // namespace
