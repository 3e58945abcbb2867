// Reference: rotary position embedding of one head, NEOX pairing.
#include "kernels/declare.h"

namespace lapidary::kernels::ref {

void rope(float* x, int64_t n, int64_t pairs, const float* cosine, const float* sine) {
    for (int64_t j = 0; j < pairs; ++j) {
        const float a = x[j], b = x[j + n / 2];
        x[j] = a * cosine[j] - b * sine[j];
        x[j + n / 2] = b * cosine[j] + a * sine[j];
    }
}

}  // namespace lapidary::kernels::ref
