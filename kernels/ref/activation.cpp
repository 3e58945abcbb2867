// Reference: GELU gate, logit soft-cap, and the element-wise multiply-add.
#include <cmath>

#include "kernels/declare.h"

namespace lapidary::kernels::ref {

// gelu(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): Hendrycks and Gimpel, arXiv 1606.08415.
void geglu(const float* gate, const float* up, int64_t n, float* y) {
    for (int64_t i = 0; i < n; ++i) {
        const float x = gate[i];
        const float inner = 0.7978845608f * (x + 0.044715f * x * x * x);
        y[i] = 0.5f * x * (1.0f + std::tanh(inner)) * up[i];
    }
}

void soft_cap(float* x, int64_t n, float cap) {
    for (int64_t i = 0; i < n; ++i) x[i] = cap * std::tanh(x[i] / cap);
}

void scale_add(float* x, float s, const float* y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[i] = y ? x[i] * s + y[i] : x[i] * s;
}

}  // namespace lapidary::kernels::ref
