// How fast this level could multiply: scalar multiply-adds on registers.
#include "kernels/declare.h"

namespace lapidary::kernels::ref {

int64_t peak(int64_t iterations) {
    uint32_t a = 3, b = 5, c = 7, d = 9, x = 11;
    for (int64_t i = 0; i < iterations; ++i) {
        asm volatile("" : "+r"(x));  // unknown to the compiler, so that every product is computed
        a = a * x + x;
        b = b * x + x;
        c = c * x + x;
        d = d * x + x;
    }
    asm volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d));
    return iterations * 4;
}

}  // namespace lapidary::kernels::ref
