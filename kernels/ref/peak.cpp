// How fast this level could multiply: scalar multiply-adds on registers.
#include "kernels/declare.h"
#include "kernels/peak_sums.h"

namespace lapidary::kernels::ref {

Peak peak(int64_t iterations) {
    constexpr int kSums = 10, kProducts = 8;
    uint32_t x = 11;
    const auto step = [&](uint32_t& sum) {
        sum = sum * x + x;
        asm volatile("" : "+r"(sum), "+r"(x));  // unknown to the compiler, so that every product is computed
    };
    repeat_sums<kSums>(iterations, kProducts, uint32_t{0}, step, [](uint32_t&) {});
    return {iterations * kSums * kProducts, "scalar multiply-add", kSums};
}

}  // namespace lapidary::kernels::ref
