// Attention of every level and cache format against a plain softmax in double, and bits that must not depend
// on how the cache is cut into runs or the heads into slices.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/kv_rows.h"
#include "tests/kernels/fixtures.h"
#include "tests/support/check_close.h"

namespace lapidary::test {
namespace {

using kernels::KvFormat;

struct Shape {
    int heads, kv_heads, dim, first, last;
};

// A cache of positions [0, last) in separately guarded runs, and what it holds in double.
class Cache {
  public:
    Cache(const Shape& shape, KvFormat format, const std::vector<int>& cuts) : shape_(shape), format_(format) {
        const int64_t values = int64_t{shape.kv_heads} * shape.dim;
        const int64_t bytes = values * (format == KvFormat::f32 ? 4 : format == KvFormat::f16 ? 2 : 1);
        const int64_t scale_bytes = values / 32 * 2;
        int begin = cuts.front();
        for (size_t i = 1; i < cuts.size(); begin = cuts[i], ++i) {
            const int count = cuts[i] - begin;
            kernels::KvRun run;
            run.k = fill_plane(begin, count, 1, values, bytes, scale_bytes, &run.k_scales);
            run.v = fill_plane(begin, count, 2, values, bytes, scale_bytes, &run.v_scales);
            run.row_bytes = bytes;
            run.scale_row_bytes = scale_bytes;
            run.position = begin;
            run.count = count;
            runs_.push_back(run);
        }
    }
    const std::vector<kernels::KvRun>& runs() const { return runs_; }

    // One stored value, decoded.
    double value(int plane, int position, int kv_head, int i) const {
        for (const kernels::KvRun& run : runs_) {
            if (position < run.position || position >= run.position + run.count) continue;
            const int64_t row = position - run.position, at = int64_t{kv_head} * shape_.dim + i;
            const auto* bytes = static_cast<const uint8_t*>(plane == 1 ? run.k : run.v) + row * run.row_bytes;
            const auto* scales = static_cast<const uint8_t*>(plane == 1 ? run.k_scales : run.v_scales);
            if (format_ == KvFormat::f32) {
                float v;
                memcpy(&v, bytes + at * 4, 4);
                return v;
            }
            if (format_ == KvFormat::f16) return kernels::half_to_float(kernels::load_u16(bytes + at * 2));
            const float scale = kernels::half_to_float(kernels::load_u16(scales + row * run.scale_row_bytes + at / 32 * 2));
            return static_cast<double>(static_cast<int8_t>(bytes[at])) * scale;
        }
        return NAN;
    }

  private:
    const void* fill_plane(int begin, int count, int plane, int64_t values, int64_t bytes, int64_t scale_bytes,
                           const void** scales) {
        buffers_.push_back(std::make_unique<Guarded<uint8_t>>(count * bytes));
        uint8_t* rows = buffers_.back()->data();
        buffers_.push_back(std::make_unique<Guarded<uint8_t>>(count * scale_bytes));
        uint8_t* scale_rows = buffers_.back()->data();
        std::vector<float> row(static_cast<size_t>(values));
        for (int p = 0; p < count; ++p) {
            Random(static_cast<uint32_t>(plane * 1000003 + begin + p)).fill(row.data(), values);
            reference().store_kv[static_cast<int>(format_)](row.data(), values, rows + p * bytes,
                                                            scale_rows + p * scale_bytes);
        }
        *scales = scale_rows;
        return rows;
    }

    Shape shape_;
    KvFormat format_;
    std::vector<kernels::KvRun> runs_;
    std::vector<std::unique_ptr<Guarded<uint8_t>>> buffers_;
};

Guarded<float>& queries(Guarded<float>& q) {
    Random(77).fill(q.data(), q.size(), 0.6f);
    return q;
}

void attend(const kernels::KernelTable& table, const Shape& s, KvFormat format, const Cache& cache,
            const Guarded<float>& q, int head_begin, int head_end, float* out) {
    Guarded<float> scratch(kernels::attention_scratch_bytes(s.dim, head_end - head_begin) / 4);
    kernels::AttentionArgs a;
    a.q = q.data();
    a.out = out;
    a.heads = s.heads;
    a.kv_heads = s.kv_heads;
    a.dim = s.dim;
    a.format = format;
    a.runs = cache.runs().data();
    a.run_count = static_cast<int32_t>(cache.runs().size());
    a.first = s.first;
    a.last = s.last;
    a.head_begin = head_begin;
    a.head_end = head_end;
    a.scratch = scratch.data();
    table.attention(a);
}

// Softmax attention in double, and the tolerance: scores are off by (dim + 2) u sum |q| |k|, which moves a
// weight by twice that (numerator and denominator); sums over C positions and a few functions add (C + 24) u.
// All of it acts on a mean of values, which the largest |v| bounds.
struct Expected {
    std::vector<double> out;
    double tolerance = 0;
};
Expected expected_attention(const Shape& s, const Cache& cache, const Guarded<float>& q) {
    Expected e;
    double worst_score = 0;
    for (int h = 0; h < s.heads; ++h) {
        const int g = h / (s.heads / s.kv_heads);
        std::vector<double> score;
        double largest = -INFINITY, sum = 0;
        for (int p = s.first; p < s.last; ++p) {
            double dot = 0, magnitude = 0;
            for (int i = 0; i < s.dim; ++i) {
                const double product = q[int64_t{h} * s.dim + i] * cache.value(1, p, g, i);
                dot += product;
                magnitude += std::abs(product);
            }
            score.push_back(dot);
            largest = std::max(largest, dot);
            worst_score = std::max(worst_score, magnitude);
        }
        for (double& v : score) sum += v = std::exp(v - largest);
        for (int i = 0; i < s.dim; ++i) {
            double mean = 0;
            for (int p = s.first; p < s.last; ++p) {
                mean += score[static_cast<size_t>(p - s.first)] / sum * cache.value(2, p, g, i);
            }
            e.out.push_back(mean);
        }
    }
    e.tolerance = 2 * kUnitRoundoff * ((s.dim + 2) * worst_score + s.last - s.first + 24);
    return e;
}

}  // namespace

TEST_CASE("attention agrees with a softmax in double") {
    const Shape shapes[] = {{1, 1, 2, 0, 1},    {4, 2, 6, 0, 5},     {2, 2, 32, 3, 300},
                            {6, 2, 64, 200, 560}, {8, 1, 34, 250, 262}, {3, 1, 160, 0, 256}};
    for (const kernels::KernelTable* table : runnable_levels()) {
        for (const Shape& s : shapes) {
            for (const KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0}) {
                if (format == KvFormat::q8_0 && s.dim % 32 != 0) continue;
                const Cache cache(s, format, {s.first, s.last});
                Guarded<float> q(int64_t{s.heads} * s.dim), out(q.size());
                queries(q);
                attend(*table, s, format, cache, q, 0, s.heads, out.data());
                const Expected e = expected_attention(s, cache, q);
                CAPTURE(table->isa);
                CAPTURE(s.dim);
                CAPTURE(kernels::name(format));
                CHECK(first_difference(out, e.out, out.size(), [&](int64_t) { return e.tolerance; }) == "");
            }
        }
    }
}

TEST_CASE("the bits of attention do not depend on the cut into runs or on the slice of heads") {
    const Shape s = {4, 2, 64, 5, 700};
    const std::vector<std::vector<int>> cuts = {{0, 700}, {5, 6, 255, 256, 257, 700}, {3, 100, 511, 513, 699, 700}};
    for (const kernels::KernelTable* table : runnable_levels()) {
        for (const KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0}) {
            CAPTURE(table->isa);
            CAPTURE(kernels::name(format));
            Guarded<float> q(s.heads * s.dim), whole(q.size()), other(q.size());
            queries(q);
            attend(*table, s, format, Cache(s, format, cuts[0]), q, 0, s.heads, whole.data());
            for (size_t i = 1; i < cuts.size(); ++i) {
                attend(*table, s, format, Cache(s, format, cuts[i]), q, 0, s.heads, other.data());
                CHECK(other.same_bytes(whole));
            }
            const Cache cache(s, format, cuts[0]);
            std::fill(other.begin(), other.end(), NAN);
            attend(*table, s, format, cache, q, 0, 1, other.data());
            CHECK(std::isnan(other[s.dim]));  // the neighbouring head is not touched
            attend(*table, s, format, cache, q, 1, 3, other.data());
            attend(*table, s, format, cache, q, 3, 4, other.data());
            CHECK(other.same_bytes(whole));
        }
    }
}

TEST_CASE("attention stays finite with scores far apart, and picks the largest") {
    const Shape s = {1, 1, 32, 0, 600};
    for (const kernels::KernelTable* table : runnable_levels()) {
        const Cache cache(s, KvFormat::f32, {0, 600});
        Guarded<float> q(32), out(32);
        queries(q);
        for (float& v : q) v *= 1e4f;
        attend(*table, s, KvFormat::f32, cache, q, 0, 1, out.data());
        int best = 0;
        double best_score = -INFINITY;
        for (int p = 0; p < 600; ++p) {
            double dot = 0;
            for (int i = 0; i < 32; ++i) dot += q[i] * cache.value(1, p, 0, i);
            if (dot > best_score) best_score = dot, best = p;
        }
        for (int i = 0; i < 32; ++i) CHECK(out[i] == static_cast<float>(cache.value(2, best, 0, i)));
    }
}

TEST_CASE("attention over no positions is zero") {
    const Shape s = {2, 1, 32, 4, 4};
    for (const kernels::KernelTable* table : runnable_levels()) {
        const Cache cache(s, KvFormat::f16, {0, 4});
        Guarded<float> q(64), out(64);
        std::fill(out.begin(), out.end(), 1.0f);
        attend(*table, s, KvFormat::f16, cache, queries(q), 0, 2, out.data());
        for (const float v : out) CHECK(v == 0.0f);
    }
}

}  // namespace lapidary::test
