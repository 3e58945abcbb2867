// The processor as its devices share it: the kernels of its level, its threads, and how exact it is to be.
#pragma once

#include <array>
#include <cstddef>

#include "kernels/kernels.h"
#include "runtime/cpu/thread_pool.h"

namespace lapidary::runtime {

// Threads of each kind of step; 0: all there are.
struct PhaseThreads {
    int prefill = 0, decode = 0;
};
inline constexpr int32_t kDecodeColumns = 8;  // up to here the bandwidth is the limit, not the arithmetic

struct Cpu {
    Cpu(const kernels::KernelTable& kernels, int threads, bool exact, PhaseThreads phase_threads)
        : table(kernels), precise(exact), phases(phase_threads), pool(threads) {
        few_isa.fill(kernels.isa);
        many_isa.fill(kernels.isa);
    }

    // The phases that follow are those of a step of so many columns.
    void use(int32_t columns) {
        const int threads = columns <= kDecodeColumns ? phases.decode : phases.prefill;
        pool.use(threads > 0 ? threads : pool.size());
    }

    kernels::KernelTable table;  // with the winners of the start-up race
    std::array<const char*, kernels::kFormats> few_isa, many_isa;  // their levels: panel_matmul_few and panel_matmul
    bool precise;                // matmul inputs stay f32; otherwise quantised weights take int8 inputs
    PhaseThreads phases;
    ThreadPool pool;
};

// Position of a format or class in the kernel table and in the inputs.
template <class Enum>
constexpr size_t index(Enum e) {
    return static_cast<size_t>(e);
}

}  // namespace lapidary::runtime
