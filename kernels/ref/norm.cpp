// Reference: RMS norm, layer norm, and the residual add of a normed branch.
#include <cmath>

#include "kernels/declare.h"

namespace lapidary::kernels::ref {
namespace {

// 1 / sqrt(mean(x^2) + eps)
float inverse_rms(const float* x, int64_t n, float eps) {
    float sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
    return 1.0f / std::sqrt(sum / static_cast<float>(n) + eps);
}

}  // namespace

void rms_norm(const float* x, const float* w, int64_t n, float eps, float* y) {
    const float scale = inverse_rms(x, n, eps);
    for (int64_t i = 0; i < n; ++i) y[i] = w ? x[i] * scale * w[i] : x[i] * scale;
}

void layer_norm(const float* x, const float* w, const float* b, int64_t n, float eps, float* y) {
    float sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i];
    const float mean = sum / static_cast<float>(n);
    float squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(n) + eps);
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * scale * w[i] + b[i];
}

void add_norm(float* x, const float* y, const float* w, int64_t n, float eps, float scale) {
    const float inverse = inverse_rms(y, n, eps);
    for (int64_t i = 0; i < n; ++i) x[i] = (x[i] + y[i] * inverse * w[i]) * scale;
}

}  // namespace lapidary::kernels::ref
