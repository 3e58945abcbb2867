// The loop of every probe of arithmetic (<level>/peak.cpp): sums that stay in registers and do not wait for each other.
#pragma once

#include <cstdint>
#include <utility>

namespace lapidary::kernels {
namespace {

template <class Vector, class Step, int... kSum>
[[gnu::always_inline]] inline void step_all(Vector* sums, const Step& step, std::integer_sequence<int, kSum...>) {
    (step(sums[kSum]), ...);
}

// `products` times a step on each of kSums sums, then `finish` on each; all of it `iterations` times. The sums begin anew
// each time, so that a processor that looks far enough ahead has more of them than there are registers. A step ends with an
// empty asm on its sum: the compiler may neither drop a product, nor reorder the steps, nor put the sum into memory.
template <int kSums, class Vector, class Step, class Finish>
[[gnu::always_inline]] inline void repeat_sums(int64_t iterations, int products, Vector zero, const Step& step,
                                               const Finish& finish) {
    constexpr std::make_integer_sequence<int, kSums> kAll;
    for (int64_t i = 0; i < iterations; ++i) {
        Vector sums[kSums];
        step_all(sums, [&](Vector& sum) { sum = zero; }, kAll);
        for (int k = 0; k < products; ++k) step_all(sums, step, kAll);
        step_all(sums, finish, kAll);
    }
}

}  // namespace
}  // namespace lapidary::kernels
