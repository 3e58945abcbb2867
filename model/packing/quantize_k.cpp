// q4_k and q6_k: scales are searched, not computed. For a group of values and its quantised numbers the best
// scale (and minimum) is a linear least-squares problem with a closed form, so a search needs only a few ways
// of rounding to try. Blocks: kernels/blocks.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/blocks.h"
#include "kernels/half.h"
#include "model/packing/quantize.h"

namespace lapidary::model {
namespace {

// To the nearest even, for |x| < 2^22; written so that loops of it become vector code.
float nearest(float x) {
    constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it leaves no fraction bits
    return (x + kMagic) - kMagic;
}

float clamp(float x, float low, float high) {
    const float above = x < low ? low : x;
    return above > high ? high : above;
}

float stored_half(float value, uint8_t* to) {
    const uint16_t half = kernels::float_to_half(value);
    std::memcpy(to, &half, sizeof half);
    return kernels::half_to_float(half);
}

// ---- q4_k: value = scale q - minimum, q in 0..15, minimum >= 0 ------------------------------------

constexpr int kGroup4 = 32, kGroups4 = 8;

struct Line {
    float scale = 0, minimum = 0, error = 0;
};

struct Moments {
    float x = 0, xx = 0;
};

// The line of least squares through (q, x) when q is what `inverse_scale` and `minimum` make of x.
Line fit_line(const float* x, const Moments& m, float inverse_scale, float minimum) {
    float q_sum = 0, qq = 0, qx = 0;
    for (int i = 0; i < kGroup4; i++) {
        const float q = clamp(nearest((x[i] + minimum) * inverse_scale), 0.0f, 15.0f);
        q_sum += q;
        qq += q * q;
        qx += q * x[i];
    }
    Line line;
    constexpr float n = kGroup4;
    const float determinant = n * qq - q_sum * q_sum;
    float offset = 0;
    if (determinant > 0) {
        line.scale = (n * qx - q_sum * m.x) / determinant;
        offset = (m.x - line.scale * q_sum) / n;
    }
    if (determinant <= 0 || offset > 0) {  // a minimum cannot be negative
        offset = 0;
        line.scale = qq > 0 ? qx / qq : 0.0f;
    }
    line.scale = line.scale > 0 ? line.scale : 0.0f;
    line.minimum = -offset;
    line.error = m.xx + line.scale * (line.scale * qq - 2 * qx) +
                 offset * (2 * line.scale * q_sum - 2 * m.x + n * offset);
    return line;
}

Line best_line(const float* x) {
    float low = 0, high = x[0];
    Moments m;
    for (int i = 0; i < kGroup4; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        m.x += x[i];
        m.xx += x[i] * x[i];
    }
    if (!(high > low)) return {0, -low, 0};
    Line best = fit_line(x, m, 15.0f / (high - low), -low);
    for (const float steps : {14.0f, 14.5f, 15.5f, 16.0f}) {  // wider or narrower than from end to end
        const Line line = fit_line(x, m, steps / (high - low), -low);
        if (line.error < best.error) best = line;
    }
    for (int i = 0; i < 2; i++) {  // round again by the line found, fit again
        const Line line = fit_line(x, m, inverse(best.scale), best.minimum);
        if (!(line.error < best.error)) break;
        best = line;
    }
    return best;
}

struct Block4 {
    float d = 0, dmin = 0;
    float scales[kGroups4] = {}, minima[kGroups4] = {};  // six bits
    float q[256] = {};
};

// Numbers for the stored d and dmin; returns the squared error.
double round_values(const float* x, Block4& b) {
    double error = 0;
    for (int g = 0; g < kGroups4; g++) {
        const float scale = b.d * b.scales[g], minimum = b.dmin * b.minima[g], inverse_scale = inverse(scale);
        float sum = 0;
        for (int i = 32 * g; i < 32 * g + 32; i++) {
            b.q[i] = clamp(nearest((x[i] + minimum) * inverse_scale), 0.0f, 15.0f);
            const float off = scale * b.q[i] - minimum - x[i];
            sum += off * off;
        }
        error += static_cast<double>(sum);
    }
    return error;
}

// The d and dmin of least squares for the numbers chosen: x = d (scale q) - dmin minimum. False: none.
bool refit(const float* x, Block4& b) {
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    for (int g = 0; g < kGroups4; g++) {
        float q_sum = 0, qq = 0, qx = 0, sum = 0;
        for (int i = 32 * g; i < 32 * g + 32; i++) {
            q_sum += b.q[i];
            qq += b.q[i] * b.q[i];
            qx += b.q[i] * x[i];
            sum += x[i];
        }
        const double s = static_cast<double>(b.scales[g]), m = static_cast<double>(b.minima[g]);
        aa += s * s * static_cast<double>(qq);
        ab += s * m * static_cast<double>(q_sum);
        bb += 32 * m * m;
        ax += s * static_cast<double>(qx);
        bx += m * static_cast<double>(sum);
    }
    const double determinant = aa * bb - ab * ab;
    if (!(determinant > 1e-6 * aa * bb)) return false;
    const double d = (ax * bb - bx * ab) / determinant, dmin = (ax * ab - bx * aa) / determinant;
    if (!(d > 0 && dmin >= 0 && d < 65504 && dmin < 65504)) return false;
    b.d = static_cast<float>(d);
    b.dmin = static_cast<float>(dmin);
    return true;
}

// kernels/blocks.h, "Six-bit scale and minimum of group g lie packed".
void pack_scales(const Block4& b, uint8_t* packed) {
    std::memset(packed, 0, 12);
    for (int g = 0; g < kGroups4; g++) {
        const auto scale = static_cast<unsigned>(b.scales[g]), minimum = static_cast<unsigned>(b.minima[g]);
        const auto put = [packed](int at, unsigned bits) {
            packed[at] = static_cast<uint8_t>(packed[at] | bits);
        };
        if (g < 4) {
            put(g, scale);
            put(g + 4, minimum);
        } else {
            put(g + 4, (scale & 15) | (minimum & 15) << 4);
            put(g - 4, scale >> 4 << 6);
            put(g, minimum >> 4 << 6);
        }
    }
}

// ---- q6_k: value = d scale q, scale int8, q in -32..31 --------------------------------------------

constexpr int kGroup6 = 16, kGroups6 = 16;

// The scale of least squares, its sign chosen so that the value of largest magnitude falls on -32.
float best_scale6(const float* x) {
    float extreme = 0;
    for (int i = 0; i < kGroup6; i++) extreme = std::fabs(x[i]) > std::fabs(extreme) ? x[i] : extreme;
    if (inverse(extreme) == 0) return 0;
    float best = 0, best_gain = 0;
    const auto consider = [&](float inverse_scale) {
        float qq = 0, qx = 0;
        for (int i = 0; i < kGroup6; i++) {
            const float q = clamp(nearest(x[i] * inverse_scale), -32.0f, 31.0f);
            qq += q * q;
            qx += q * x[i];
        }
        if (!(qq > 0) || !(qx * qx > best_gain * qq)) return;  // the squared error falls by qx^2 / qq
        best_gain = qx * qx / qq;
        best = qx / qq;
    };
    for (const float steps : {-32.0f, -32.4f, -31.6f, -32.8f, -31.2f, -30.8f, -30.4f})
        consider(steps / extreme);
    consider(inverse(best));
    return best;
}

struct Block6 {
    float d = 0;
    float scales[kGroups6] = {};
    float q[256] = {};
};

double round_values(const float* x, Block6& b) {
    double error = 0;
    for (int g = 0; g < kGroups6; g++) {
        const float scale = b.d * b.scales[g], inverse_scale = inverse(scale);
        float sum = 0;
        for (int i = 16 * g; i < 16 * g + 16; i++) {
            b.q[i] = clamp(nearest(x[i] * inverse_scale), -32.0f, 31.0f);
            const float off = scale * b.q[i] - x[i];
            sum += off * off;
        }
        error += static_cast<double>(sum);
    }
    return error;
}

bool refit(const float* x, Block6& b) {
    double qq = 0, qx = 0;
    for (int g = 0; g < kGroups6; g++) {
        float squares = 0, products = 0;
        for (int i = 16 * g; i < 16 * g + 16; i++) {
            squares += b.q[i] * b.q[i];
            products += b.q[i] * x[i];
        }
        const double s = static_cast<double>(b.scales[g]);
        qq += s * s * static_cast<double>(squares);
        qx += s * static_cast<double>(products);
    }
    if (!(qq > 0) || !(std::fabs(qx / qq) < 65504)) return false;
    b.d = static_cast<float>(qx / qq);
    return true;
}

}  // namespace

void quantise_block_q4_k(const float* x, std::byte* out) {
    kernels::BlockQ4K block;
    Block4 b;
    Line lines[kGroups4];
    float largest_scale = 0, largest_minimum = 0;
    for (int g = 0; g < kGroups4; g++) {
        lines[g] = best_line(x + 32 * g);
        largest_scale = std::max(largest_scale, lines[g].scale);
        largest_minimum = std::max(largest_minimum, lines[g].minimum);
    }
    for (int g = 0; g < kGroups4; g++) {
        b.scales[g] = clamp(nearest(lines[g].scale * inverse(largest_scale / 63)), 0.0f, 63.0f);
        b.minima[g] = clamp(nearest(lines[g].minimum * inverse(largest_minimum / 63)), 0.0f, 63.0f);
    }
    b.d = stored_half(largest_scale / 63, block.d);
    b.dmin = stored_half(largest_minimum / 63, block.dmin);
    const double error = round_values(x, b);
    Block4 better = b;
    uint8_t d[2], dmin[2];
    if (refit(x, better)) {
        better.d = stored_half(better.d, d);
        better.dmin = stored_half(better.dmin, dmin);
        if (round_values(x, better) < error) {
            b = better;
            std::memcpy(block.d, d, sizeof d);
            std::memcpy(block.dmin, dmin, sizeof dmin);
        }
    }
    pack_scales(b, block.scales);
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < 32; i++)
            block.qs[32 * p + i] = static_cast<uint8_t>(static_cast<unsigned>(b.q[64 * p + i]) |
                                                        static_cast<unsigned>(b.q[64 * p + 32 + i]) << 4);
    std::memcpy(out, &block, sizeof block);
}

void quantise_block_q6_k(const float* x, std::byte* out) {
    kernels::BlockQ6K block;
    Block6 b;
    float scales[kGroups6], extreme = 0;
    for (int g = 0; g < kGroups6; g++) {
        scales[g] = best_scale6(x + 16 * g);
        extreme = std::fabs(scales[g]) > std::fabs(extreme) ? scales[g] : extreme;
    }
    const float inverse_d = inverse(extreme / -128);
    for (int g = 0; g < kGroups6; g++) b.scales[g] = clamp(nearest(scales[g] * inverse_d), -128.0f, 127.0f);
    b.d = stored_half(extreme / -128, block.d);
    const double error = round_values(x, b);
    Block6 better = b;
    uint8_t d[2];
    if (refit(x, better)) {
        better.d = stored_half(better.d, d);
        if (round_values(x, better) < error) {
            b = better;
            std::memcpy(block.d, d, sizeof d);
        }
    }
    for (int g = 0; g < kGroups6; g++) block.scales[g] = static_cast<int8_t>(b.scales[g]);
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 32; i++) {
            unsigned bits[4];
            for (int c = 0; c < 4; c++)
                bits[c] = static_cast<unsigned>(static_cast<int>(b.q[128 * h + 32 * c + i]) + 32);
            block.ql[64 * h + i] = static_cast<uint8_t>((bits[0] & 15) | (bits[2] & 15) << 4);
            block.ql[64 * h + 32 + i] = static_cast<uint8_t>((bits[1] & 15) | (bits[3] & 15) << 4);
            block.qh[32 * h + i] = static_cast<uint8_t>(bits[0] >> 4 | bits[1] >> 4 << 2 | bits[2] >> 4 << 4 |
                                                        bits[3] >> 4 << 6);
        }
    std::memcpy(out, &block, sizeof block);
}

}  // namespace lapidary::model
