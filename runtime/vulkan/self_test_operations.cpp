// Operations on rows, the embedding's rows and the greatest scores; see self_test.h.
#include <algorithm>
#include <bit>
#include <cmath>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/kernels.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/self_test_rows.h"

namespace lapidary::runtime::vulkan {
namespace {

// A sum in f32, relative: width / 256 additions in a thread, then a tree; with it a quotient and some products.
double sum_error(int64_t width) { return (static_cast<double>(width) / 256 + 20) * kUnit; }

StepShape shape_of(const RowsCase& c) {
    return {.kind = StepKind::rows, .columns = static_cast<int32_t>(c.columns), .widest = static_cast<int32_t>(c.width)};
}

}  // namespace

// The CPU's rows are their own source, which both steps begin from. The norm is that of the residual's dispatch, then one of
// its own; without a reader both have a dispatch.
Result<void> SelfTest::norms(const RowsCase& c, const ProductCase* reader) {
    constexpr float kEps = 1e-6f;
    LAP_ASSIGN(const Rows x, rows(Format::f32, c.columns, c.width, 6));
    LAP_ASSIGN(const Rows y, rows(Format::f32, c.columns, c.width, 7));
    LAP_ASSIGN(const Rows w, rows(Format::f32, 1, c.width, 8));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, c.width, 9));
    LAP_ASSIGN(const Rows again, rows(Format::f32, c.columns, c.width, 10));
    LAP_ASSIGN(const Reading first, reading(reader, 11));
    LAP_ASSIGN(const Reading second, reading(reader, 13));
    LAP_TRY(run(shape_of(c), {}, [&](Device& d, bool g) {
        d.add_norm(x.on(g), y.on(g), w.on(g), kEps, 0.5f);
        if (g && reader) {
            first.note(d, {x.gpu, w.gpu, kEps, out.gpu});
            second.note(d, {x.gpu, w.gpu, kEps, again.gpu});
            return;
        }
        d.rms_norm(x.on(g), w.on(g), kEps, out.on(g));
        d.rms_norm(x.on(g), w.on(g), kEps, again.on(g));
    }));
    const auto limit = [&](int64_t) { return 4 * 4 * sum_error(c.width); };  // values of at most 4
    LAP_TRY(compare("residual", x, limit));
    LAP_TRY(compare("norm", out, limit));
    LAP_TRY(compare("norm", again, limit));
    LAP_TRY(compare(first, out));
    return compare(second, again);
}

Result<void> SelfTest::bare_norm(const RowsCase& c) {
    LAP_ASSIGN(const Rows x, rows(Format::f32, c.columns, c.width, 6));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, c.width, 9));
    LAP_TRY(run(shape_of(c), {}, [&](Device& d, bool g) { d.rms_norm(x.on(g), {}, 1e-6f, out.on(g)); }));
    return compare("norm", out, [&](int64_t) { return 4 * 4 * sum_error(c.width); });
}

// Rows with almost no variance beside their mean too: eps then makes noise of whatever is wrong with it. Deviations are below
// 2^-17 there, and grow 316 times at most.
Result<void> SelfTest::layer_norm(const RowsCase& c) {
    LAP_ASSIGN(const Rows x, rows(Format::f32, c.columns, c.width, 6));
    LAP_ASSIGN(Buffer source, allocate_host(static_cast<size_t>(c.columns * c.width) * sizeof(float)));
    Random random(7);
    auto* values = reinterpret_cast<float*>(host_bytes(*source));
    for (int64_t i = 0; i < c.columns * c.width; ++i) values[i] = 0.73f + 0x1p-17f * random.value();
    LAP_ASSIGN(const Rows flat, place(std::move(source), Format::f32, c.columns, c.width, Use::values));
    LAP_ASSIGN(const Rows w, rows(Format::f32, 1, c.width, 8));
    LAP_ASSIGN(const Rows b, rows(Format::f32, 1, c.width, 9));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, c.width, 10));
    LAP_TRY(run(shape_of(c), {}, [&](Device& d, bool g) {
        d.layer_norm(x.on(g), w.on(g), b.on(g), 1e-5f, out.on(g));
        d.layer_norm(flat.on(g), w.on(g), b.on(g), 1e-5f, flat.on(g));
    }));
    LAP_TRY(compare("layer norm", out, [&](int64_t) { return 4 * 4 * sum_error(c.width); }));  // values of at most 4
    return compare("layer norm of flat rows", flat, [&](int64_t) { return 2 * sum_error(c.width); });
}

// One rounding, to either side.
Result<void> SelfTest::add(const RowsCase& c) {
    LAP_ASSIGN(const Rows x, rows(Format::f32, c.columns, c.width, 6));
    LAP_ASSIGN(const Rows y, rows(Format::f32, c.columns, c.width, 7));
    LAP_TRY(run(shape_of(c), {}, [&](Device& d, bool g) { d.add(x.on(g), y.on(g)); }));
    return compare("sum", x, [](int64_t) { return 4 * kUnit; });  // of at most 2
}

// tanh may be a quotient of two exponentials of 3 + 2 |x| ulp each, |x| <= 15, and of their difference.
Result<void> SelfTest::soft_cap(const RowsCase& c) {
    constexpr float kCap = 1.0f / 32;
    LAP_ASSIGN(const Rows x, rows(Format::f32, c.columns, c.width, 6));
    LAP_TRY(run(shape_of(c), {}, [&](Device& d, bool g) { d.soft_cap(x.on(g), kCap); }));
    return compare("capped score", x, [](int64_t) { return 220 * kUnit * kCap; });
}

Result<void> SelfTest::host_rows(Device::Rows which, const RowsCase& c) {
    constexpr int32_t kFrom = 4;
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, c.width, 6));
    StepShape shape = shape_of(c);
    shape.row_width = static_cast<int32_t>(c.width) + kFrom;
    const auto fill = [&](const StepInputs& in) {
        Random random(7);
        for (int64_t i = 0; i < c.columns * shape.row_width; ++i) in.rows()[i] = random.value();
        for (int32_t t = 0; t < c.columns; ++t) in.ids()[t] = t % 2 == 0 ? -1 : t;
    };
    LAP_TRY(run(shape, fill, [&](Device& d, bool g) { d.input_rows(which, out.on(g), kFrom); }));
    return compare("row of the host", out, [](int64_t) { return 0.0; });
}

Result<void> SelfTest::input_rows(const RowsCase& c) { return host_rows(Device::Rows::all, c); }
Result<void> SelfTest::input_rows_without_id(const RowsCase& c) { return host_rows(Device::Rows::without_id, c); }

// A rounding each of the scale, a product, a minimum and the factor, which are no larger than twice the largest value.
Result<void> SelfTest::embed_rows(const EmbedCase& c) {
    constexpr float kFactor = 3.0f;
    LAP_ASSIGN(const Rows table, rows(c.format, kTestRows, c.width, 6, c.use));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, c.width, 7));
    const auto fill = [&](const StepInputs& in) {
        constexpr int32_t kIds[] = {kTestRows - 1, -1, 17};
        for (int32_t t = 0; t < c.columns; ++t) in.ids()[t] = kIds[t % 3];
    };
    LAP_TRY(run(shape_of({c.width, c.columns}), fill,
                [&](Device& d, bool g) { d.embed_rows(table.on(g), Entry::ids, kFactor, out.on(g)); }));
    const auto* values = reinterpret_cast<const float*>(reference_.read(out.cpu));
    double largest = 0;
    for (int64_t i = 0; i < c.columns * c.width; ++i) largest = std::max(largest, std::fabs(double{values[i]}));
    return compare("row of the embedding", out, [&](int64_t) { return 8 * kUnit * largest; });
}

Result<void> SelfTest::top_k(const TopCase& c) {
    const auto modulus = std::bit_ceil(static_cast<uint32_t>(c.vocab));
    const auto scores = [&](uint32_t different) -> Result<Rows> {
        LAP_ASSIGN(Buffer source, allocate_host(static_cast<size_t>(c.columns * c.vocab) * sizeof(float)));
        auto* values = reinterpret_cast<float*>(host_bytes(*source));
        for (int64_t i = 0; i < c.columns * c.vocab; ++i) {
            const auto id = static_cast<uint32_t>(i % c.vocab), row = static_cast<uint32_t>(i / c.vocab);
            const uint32_t rank = (id * 7919 + row) % modulus % different;  // 7919 is odd: no two ids have the same
            values[i] = static_cast<float>(rank) - static_cast<float>(different / 2);
        }
        return place(std::move(source), Format::f32, c.columns, c.vocab, Use::values);
    };
    LAP_ASSIGN(const Rows distinct, scores(modulus));
    LAP_ASSIGN(const Rows equal, scores(7));
    LAP_ASSIGN(const Rows best, rows(Format::f32, c.columns, 2 * int64_t{c.k}, 6));
    LAP_ASSIGN(const Rows first, rows(Format::f32, c.columns, 2 * int64_t{c.k}, 7));
    StepShape shape = shape_of({64, c.columns});
    shape.candidates = c.k;
    if (c.masked) shape.mask_words = static_cast<int32_t>((c.vocab + 31) / 32);
    const auto fill = [&](const StepInputs& in) {
        Random random(8);
        for (int32_t i = 0; i < shape.mask_words; ++i) in.mask()[i] = random.bits();
    };
    LAP_TRY(run(shape, fill, [&](Device& d, bool g) {
        d.top_k(distinct.on(g), c.k, best.on(g));
        d.top_k(equal.on(g), c.k, first.on(g));
    }));
    for (const Rows* found : {&best, &first}) {
        const auto* got = reinterpret_cast<const Candidate*>(gpu_.read(found->gpu));
        const auto* wanted = reinterpret_cast<const Candidate*>(reference_.read(found->cpu));
        if (!got) return Error{Errc::device_lost, "the device was lost in a self-test"};
        for (int64_t i = 0; i < c.columns * c.k; ++i)
            if (got[i].id != wanted[i].id || got[i].score != wanted[i].score)
                return Error{Errc::internal, concat(found == &best ? "top k" : "top k of equal scores", ": column ", i / c.k, ", candidate ", i % c.k,
                                                    " is ", got[i].id, " instead of ", wanted[i].id)};
    }
    return {};
}

}  // namespace lapidary::runtime::vulkan
