// Activations to int8, and cache rows: every level gives the bits of the reference, and those keep the bound.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/kv_rows.h"
#include "tests/kernels/fixtures.h"
#include "tests/kernels/walk.h"

using namespace lapidary;
using namespace lapidary::test;
namespace {

const Walk kQuantize({"quantize"}, Compare::bits), kStoreKv({"store_kv"}, Compare::bits);

struct Quantized {
    Guarded<int8_t> q;
    Guarded<float> scales;
    Quantized(const kernels::KernelTable& table, const Guarded<float>& x) : q(x.size()), scales(x.size() / 32) {
        table.quantize(x.data(), x.size(), q.data(), scales.data());
    }
};

}  // namespace

TEST_CASE("quantize keeps every value within half a step") {
    for (const KernelRow& row : kQuantize.rows()) {
        Guarded<float> x(32 * 19);
        Random random(1);
        for (int64_t i = 0; i < x.size(); ++i) x[i] = random.uniform(-1, 1) * std::ldexp(1.0f, static_cast<int>(i / 32) * 5 - 50);
        const Quantized result(*row.table, x);
        for (int64_t i = 0; i < x.size(); ++i) {
            const double scale = result.scales[i / 32];
            // Half a step, and the roundings of the scale and the quotient at up to 127 steps.
            REQUIRE(std::abs(result.q[i] * scale - double{x[i]}) <= scale * (0.5 + 127 * 3 * 6e-8));
            REQUIRE(std::abs(int{result.q[i]}) <= 127);
        }
    }
}

TEST_CASE("quantize: every level gives the same bits, also for zeros, ties and tiny values") {
    Guarded<float> x(32 * 6);
    Random(2).fill(x.data(), 32);
    for (int64_t i = 32; i < 64; ++i) x[i] = 0;
    for (int64_t i = 64; i < 96; ++i) x[i] = static_cast<float>(i - 64) + 0.5f;  // scale 1 through the next line
    x[95] = 127;
    for (int64_t i = 96; i < 128; ++i) x[i] = std::numeric_limits<float>::denorm_min() * static_cast<float>(i);
    for (int64_t i = 128; i < 160; ++i) x[i] = std::numeric_limits<float>::max() * (i % 2 ? 1.0f : -0.7f);
    for (int64_t i = 160; i < 192; ++i) x[i] = -0.0f;
    const Quantized expected(reference(), x);
    CHECK(expected.q[64] == 0);  // 0.5 goes to the even neighbour
    CHECK(expected.q[65] == 2);
    CHECK(expected.scales[1] == 0.0f);
    CHECK(expected.scales[3] == 0.0f);
    CHECK(expected.q[129] == 127);
    for (const KernelRow& row : kQuantize.rows()) {
        const Quantized result(*row.table, x);
        CAPTURE(row.isa);
        CHECK(result.q.same_bytes(expected.q));
        CHECK(result.scales.same_bytes(expected.scales));
    }
}

TEST_CASE("quantize: NaN and infinity stay visible in the scale of their block only") {
    for (const KernelRow& row : kQuantize.rows()) {
        Guarded<float> x(96);
        Random(3).fill(x.data(), 96);
        x[5] = NAN;
        x[40] = -INFINITY;
        const Quantized result(*row.table, x);
        CHECK(std::isnan(result.scales[0]));
        CHECK(result.scales[1] == INFINITY);
        CHECK(std::isfinite(result.scales[2]));
        CHECK(result.q[5] == 0);
        CHECK(result.q[40] == 0);
    }
}

TEST_CASE("store_kv: every level writes the bits of the reference") {
    const int64_t n = 32 * 9;
    Guarded<float> x(n);
    Random(4).fill(x.data(), n, 70000.0f);  // some beyond f16
    for (int64_t i = 0; i < 64; ++i) x[i] *= 1e-9f;
    for (const KernelRow& row : kStoreKv.rows()) {
        const auto slot = static_cast<size_t>(row.cache);
        const int64_t bytes = kernels::block_bytes(row.weights) / kernels::block_values(row.weights);
        Guarded<uint8_t> expected(n * bytes), expected_scales(n / 32 * 2), got(n * bytes), scales(n / 32 * 2);
        reference().store_kv[slot](x.data(), n, expected.data(), expected_scales.data());
        row.table->store_kv[slot](x.data(), n, got.data(), scales.data());
        CAPTURE(row.function);
        CHECK(got.same_bytes(expected));
        CHECK(scales.same_bytes(expected_scales));
    }
}

TEST_CASE("store_kv: odd lengths of f16 and f32 rows") {
    for (const KernelRow& row : kStoreKv.rows()) {
        Guarded<float> x(37), copy(37);
        Random(5).fill(x.data(), 37);
        Guarded<uint16_t> half(37);
        row.table->store_kv[1](x.data(), 37, half.data(), nullptr);
        for (int64_t i = 0; i < 37; ++i) REQUIRE(half[i] == kernels::float_to_half(x[i]));
        row.table->store_kv[0](x.data(), 37, copy.data(), nullptr);
        CHECK(copy.same_bytes(x));
    }
}

TEST_CASE("store_kv: q8_0 keeps every value within half a step of its f16 scale") {
    Guarded<float> x(64);
    Random(6).fill(x.data(), 64, 9.0f);
    Guarded<int8_t> row(64);
    Guarded<uint16_t> scales(2);
    reference().store_kv[2](x.data(), 64, row.data(), scales.data());
    for (int64_t i = 0; i < 64; ++i) {
        const double scale = kernels::half_to_float(scales[i / 32]);
        // The scale is rounded to 11 bits, so 127 steps may miss the largest value by 127 / 2048 of a step.
        REQUIRE(std::abs(row[i] * scale - double{x[i]}) <= scale * (0.5 + 127.0 / 2048));
    }
}

TEST_CASE("half floats: every one of the 65536 survives the way through f32, and rounding is to even") {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        const float value = kernels::half_to_float(half);
        if (std::isnan(value)) {
            REQUIRE(std::isnan(kernels::half_to_float(kernels::float_to_half(value))));
        } else {
            REQUIRE(kernels::float_to_half(value) == half);
        }
    }
    CHECK(kernels::float_to_half(65519.9f) == 0x7bff);
    CHECK(kernels::float_to_half(65520.0f) == 0x7c00);
    CHECK(kernels::float_to_half(1.0f + 1.0f / 2048) == 0x3c00);
    CHECK(kernels::float_to_half(1.0f + 3.0f / 2048) == 0x3c02);
    CHECK(kernels::float_to_half(std::ldexp(1.0f, -25)) == 0);
    CHECK(kernels::float_to_half(std::ldexp(1.5f, -25)) == 1);
}
