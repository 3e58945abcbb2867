// Reference: RMS norm, layer norm, and the residual add of a normed branch. Sums run in double: a picture's
// flat patch has almost no variance, and the layer norm's 1 / sqrt(eps) multiplies the error of its mean by 300.
#include <cmath>

#include "kernels/declare.h"

namespace lapidary::kernels::ref {
namespace {

// 1 / sqrt(mean(x^2) + eps)
float inverse_rms(const float* x, int64_t n, float eps) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
    return static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(n) + eps));
}

}  // namespace

void rms_norm(const float* x, const float* w, int64_t n, float eps, float* y) {
    const float scale = inverse_rms(x, n, eps);
    for (int64_t i = 0; i < n; ++i) y[i] = w ? x[i] * scale * w[i] : x[i] * scale;
}

void layer_norm(const float* x, const float* w, const float* b, int64_t n, float eps, float* y) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i];
    const double mean = sum / static_cast<double>(n);
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + eps);
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>((x[i] - mean) * scale) * w[i] + b[i];
}

void add_norm(float* x, const float* y, const float* w, int64_t n, float eps, float scale) {
    const float inverse = inverse_rms(y, n, eps);
    for (int64_t i = 0; i < n; ++i) x[i] = (x[i] + y[i] * inverse * w[i]) * scale;
}

}  // namespace lapidary::kernels::ref
