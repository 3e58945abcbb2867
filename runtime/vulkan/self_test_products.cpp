// Products, and what a product makes of the int8 image that was left of its rows; see self_test.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/try.h"
#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/self_test_rows.h"

namespace lapidary::runtime::vulkan {
namespace {

struct Size {
    double longest = 0, largest = 0;  // of rows; of values
};

// Of rows [first, end).
Size size_of(const TensorView& host, int64_t first, int64_t end) {
    Size size;
    std::vector<float> values(static_cast<size_t>(host.cols));
    const auto expand = kernels::select("ref", nullptr)->expand[static_cast<size_t>(host.format)];
    for (int64_t r = first; r < end; ++r) {
        expand(host_bytes(host) + r * host.row_bytes, host.cols, values.data());
        double sum = 0;
        for (const float v : values) {
            sum += double{v} * v;
            size.largest = std::max(size.largest, std::fabs(double{v}));
        }
        size.longest = std::max(size.longest, std::sqrt(sum));
    }
    return size;
}

Size size_of(const TensorView& host) { return size_of(host, 0, host.rows); }

// |error| <= n u |w| |x| (Cauchy-Schwarz), n the additions that follow each other; a quotient that an int8 image rounds may
// lie at a half, so a few of its values may be one off.
double limit_of(const ProductCase& c, double longest, const Size& x) {
    const double roundings = static_cast<double>(c.k) / 4 + 64;
    const double flipped = kernels::is_quantised(c.format) ? 4 * longest / std::sqrt(static_cast<double>(c.k)) * 4 / 127 : 0;
    // Images of other groups: a value is off by up to 1 / 254 of the largest in both. Hoeffding: sums of such errors pass 6
    // lengths of their bounds once in 30 million.
    const double images = c.own_images ? 6 * std::sqrt(2.0) * longest / 254 : 0;
    // A value in f16 is off by up to 2^-10 of itself: a conversion may go up or down. Hoeffding again.
    const double half = (int{c.half_weights} + int{c.half_inputs}) * 6 * longest / 1024;
    return roundings * kUnit * longest * x.longest + (flipped + images + half) * x.largest;
}

}  // namespace

Result<void> SelfTest::product(const ProductCase& c, const ProductCase* reader) {
    const int64_t count = reader ? kImageRows : kTestRows;
    LAP_ASSIGN(const Rows w, rows(c.format, count, c.k, 1, c.use));
    LAP_ASSIGN(const Rows up, rows(c.format, count, c.k, 2, c.use));
    LAP_ASSIGN(Buffer inputs, allocate_host(static_cast<size_t>(c.columns * c.k) * sizeof(float)));
    Random random(3);
    fill_blocks(Format::f32, c.columns * c.k, random, host_bytes(*inputs));
    // Beyond f16's range on both sides, where a power of two must bring rows into it.
    auto* const values = reinterpret_cast<float*>(host_bytes(*inputs));
    for (int64_t i = 0; c.half_inputs && i < c.columns * c.k; ++i) values[i] = std::ldexp(values[i], static_cast<int>(i / c.k % 3 - 1) * 20);
    LAP_ASSIGN(const Rows x, place(std::move(inputs), Format::f32, c.columns, c.k, Use::values));
    LAP_ASSIGN(const Rows scratch, rows(Format::f32, c.columns, count, 4));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, count, 5));
    LAP_ASSIGN(const Reading behind, reading(reader, 6));
    StepShape shape{.kind = StepKind::rows, .columns = static_cast<int32_t>(c.columns), .widest = static_cast<int32_t>(std::max(c.k, count))};
    LAP_TRY(run(shape, {}, [&](Device& d, bool g) {
        const MatmulPart part{.weights = w.on(g), .out = out.on(g)};
        if (c.gated)
            d.gated_matmul(w.on(g), up.on(g), x.on(g), scratch.on(g), out.on(g));
        else
            d.matmul({&part, 1}, x.on(g));
        if (g && behind) behind.note(d, out.gpu);
    }));
    const double longest = std::max(size_of(w.host).longest, c.gated ? size_of(up.host).longest : 0);
    LAP_TRY(compare(c.gated ? "gated product" : "product", out, [&](int64_t t) {
        const Size size = size_of(x.host, t, t + 1);
        // Gated, each factor's error times the other, which is a sum like those of the errors.
        return limit_of(c, longest, size) * (c.gated ? 2 * 6 * longest * size.largest : 1);
    }));
    return compare(behind, out);
}

Result<SelfTest::Reading> SelfTest::reading(const ProductCase* reader, uint32_t seed) {
    Reading r;
    if (!reader) return r;
    r.product = *reader;
    LAP_ASSIGN(r.weights, rows(reader->format, kTestRows, reader->k, seed, reader->use));
    LAP_ASSIGN(r.out, rows(Format::f32, reader->columns, kTestRows, seed + 1));
    return r;
}

// The reference rounds the very rows that the image was made of, so that nothing else differs.
Result<void> SelfTest::compare(const Reading& reading, const Rows& x) {
    if (!reading) return {};
    const std::byte* left = gpu_.read(x.gpu);
    if (!left) return Error{Errc::device_lost, "the device was lost in a self-test"};
    std::memcpy(host_bytes(x.cpu), left, static_cast<size_t>(x.cpu.bytes()));
    const ProductCase& c = reading.product;
    StepShape shape{.kind = StepKind::rows, .columns = static_cast<int32_t>(c.columns), .widest = static_cast<int32_t>(c.k)};
    LAP_TRY(run(reference_, shape, {}, [&](Device& d, bool) {
        const MatmulPart part{.weights = reading.weights.cpu, .out = reading.out.cpu};
        d.matmul({&part, 1}, x.cpu);
    }));
    const double limit = limit_of(c, size_of(reading.weights.host).longest, size_of(x.cpu));
    return compare("the product behind", reading.out, [&](int64_t) { return limit; });
}

}  // namespace lapidary::runtime::vulkan
