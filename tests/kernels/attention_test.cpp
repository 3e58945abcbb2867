// Attention of every level and cache format against a plain softmax in double, and bits that must not depend
// on how the cache is cut into runs, the rows into tiles or the blocks into partials.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/kv_rows.h"
#include "tests/kernels/fixtures.h"
#include "tests/kernels/walk.h"
#include "tests/support/check_close.h"

using namespace lapidary;
using namespace lapidary::test;
namespace {

using kernels::KvFormat;

const Walk kAttention({"attention", "attention_merge"}, Compare::values);

struct Range {
    int first, last;
};
struct Shape {
    int heads, kv_heads, dim;
    std::vector<Range> tokens;  // what each token sees
    int key_pairs = 0;          // keys taken from values, these pairs of them beside

    int key_values() const { return key_pairs > 0 ? 2 * key_pairs : dim; }  // of a head in a key row
    bool from_value(int i) const { return key_pairs > 0 && i % (dim / 2) >= key_pairs; }
    int64_t row() const { return int64_t{heads} * dim; }
    int64_t values() const { return static_cast<int64_t>(tokens.size()) * row(); }
    int begin() const {
        int first = tokens[0].first;
        for (const Range& t : tokens) first = std::min(first, t.first);
        return first;
    }
    int end() const {
        int last = 0;
        for (const Range& t : tokens) last = std::max(last, t.last);
        return last;
    }
};

// `count` tokens of a causal window: token t sees the `window` positions up to `position` + t.
std::vector<Range> window(int position, int count, int window) {
    std::vector<Range> tokens;
    for (int t = 0; t < count; ++t) tokens.push_back({std::max(0, position + t + 1 - window), position + t + 1});
    return tokens;
}

// A cache of positions in separately guarded runs of each kv head, and what it holds in double.
class Cache {
  public:
    Cache(const Shape& shape, KvFormat format, const std::vector<int>& cuts)
        : shape_(shape), format_(format), runs_(static_cast<size_t>(shape.kv_heads)) {
        const int width = format == KvFormat::f32 ? 4 : format == KvFormat::f16 ? 2 : 1;
        // Rows lie a little apart, as a device may want them.
        row_bytes_ = {shape.key_values() * width + 16, shape.dim * width + 32, shape.key_values() / 32 * 2 + 2,
                      shape.dim / 32 * 2 + 4};
        int begin = cuts.front();
        for (size_t i = 1; i < cuts.size(); begin = cuts[i], ++i) {
            const int count = cuts[i] - begin;
            std::vector<kernels::KvRun> heads(runs_.size());
            fill_plane(begin, count, 1, heads);
            fill_plane(begin, count, 2, heads);
            for (size_t h = 0; h < heads.size(); ++h) {
                heads[h].position = begin;
                heads[h].count = count;
                runs_[h].push_back(heads[h]);
            }
        }
    }
    const std::vector<kernels::KvRun>& runs(int kv_head) const { return runs_[static_cast<size_t>(kv_head)]; }
    const kernels::KvRowBytes& row_bytes() const { return row_bytes_; }

    // One value of a key as it is multiplied with a query, which carries the key weight where that is due.
    double key(int position, int kv_head, int i) const {
        if (shape_.from_value(i)) return value(2, position, kv_head, i);
        const bool second_half = shape_.key_pairs > 0 && i >= shape_.dim / 2;
        return value(1, position, kv_head, second_half ? i - shape_.dim / 2 + shape_.key_pairs : i);
    }

    // One stored value, decoded.
    double value(int plane, int position, int kv_head, int i) const {
        const bool keys = plane == 1;
        for (const kernels::KvRun& run : runs(kv_head)) {
            if (position < run.position || position >= run.position + run.count) continue;
            const int64_t row = position - run.position;
            const auto* bytes = static_cast<const uint8_t*>(keys ? run.k : run.v) + row * (keys ? row_bytes_.k : row_bytes_.v);
            const auto* scales = static_cast<const uint8_t*>(keys ? run.k_scales : run.v_scales) +
                                 row * (keys ? row_bytes_.k_scales : row_bytes_.v_scales);
            if (format_ == KvFormat::f32) {
                float v;
                memcpy(&v, bytes + i * 4, 4);
                return v;
            }
            if (format_ == KvFormat::f16) return kernels::half_to_float(kernels::load_u16(bytes + i * 2));
            const float scale = kernels::half_to_float(kernels::load_u16(scales + i / 32 * 2));
            return static_cast<double>(static_cast<int8_t>(bytes[i])) * scale;
        }
        return NAN;
    }

  private:
    // Memory of rows in which nothing but the rows' own values is a number.
    uint8_t* plane(int count, int64_t row_bytes) {
        buffers_.push_back(std::make_unique<Guarded<uint8_t>>(count * row_bytes));
        std::fill(buffers_.back()->begin(), buffers_.back()->end(), uint8_t{0xff});
        return buffers_.back()->data();
    }
    void fill_plane(int begin, int count, int plane_number, std::vector<kernels::KvRun>& heads) {
        const bool keys = plane_number == 1;
        const int64_t size = keys ? shape_.key_values() : shape_.dim;
        const int64_t bytes = keys ? row_bytes_.k : row_bytes_.v;
        const int64_t scale_bytes = keys ? row_bytes_.k_scales : row_bytes_.v_scales;
        std::vector<uint8_t*> rows, scales;
        for (kernels::KvRun& run : heads) {
            rows.push_back(plane(count, bytes));
            scales.push_back(plane(count, scale_bytes));
            (keys ? run.k : run.v) = rows.back();
            (keys ? run.k_scales : run.v_scales) = scales.back();
        }
        std::vector<float> row(heads.size() * static_cast<size_t>(size));
        for (int p = 0; p < count; ++p) {
            Random(static_cast<uint32_t>(plane_number * 1000003 + begin + p)).fill(row.data(), static_cast<int64_t>(row.size()));
            for (size_t h = 0; h < heads.size(); ++h) {
                reference().store_kv[static_cast<int>(format_)](row.data() + static_cast<int64_t>(h) * size, size,
                                                                rows[h] + p * bytes, scales[h] + p * scale_bytes);
            }
        }
    }

    Shape shape_;
    KvFormat format_;
    std::vector<std::vector<kernels::KvRun>> runs_;  // [kv head]
    kernels::KvRowBytes row_bytes_;
    std::vector<std::unique_ptr<Guarded<uint8_t>>> buffers_;
};

Guarded<float>& queries(Guarded<float>& q) {
    Random(77).fill(q.data(), q.size(), 0.6f);
    return q;
}

float key_weight(int i) { return 0.5f + static_cast<float>(i * 7 % 13) / 13.0f; }

// How the rows of a call are cut: tokens and heads of a tile, and whether every block is a partial of its own.
struct Cut {
    int tokens, heads;
    bool partials = false;
};

// One tile in one call, or block by block and merged in two slices of values.
void attend_tile(const kernels::KernelTable& table, kernels::AttentionArgs a, bool partials) {
    const int64_t rows = int64_t{a.tokens} * (a.head_end - a.head_begin);
    Guarded<float> scratch(kernels::attention_scratch_bytes(a.dim, rows) / 4);
    std::fill(scratch.begin(), scratch.end(), NAN);  // what a call before left there
    a.scratch = scratch.data();
    if (!partials) return table.attention(a);
    const kernels::Positions seen = kernels::visible_positions(a);
    kernels::AttentionMergeArgs m;
    const int first = seen.begin / 256, blocks = (seen.end + 255) / 256 - first;
    m.partial_floats = kernels::attention_partial_bytes(a.dim, rows) / 4;
    Guarded<float> results(blocks * m.partial_floats);
    a.partial_floats = m.partial_floats;
    for (int b = blocks; b > 0; b -= a.blocks) {  // two blocks a call, from the last on
        a.blocks = std::min(b, 2);
        a.block = first + b - a.blocks;
        a.partial = results.data() + (b - a.blocks) * m.partial_floats;
        table.attention(a);
    }
    m.partials = results.data();
    m.count = blocks;
    m.out = a.out;
    m.stride = a.stride;
    m.tokens = a.tokens;
    m.dim = a.dim;
    m.head_begin = a.head_begin;
    m.head_end = a.head_end;
    m.scratch = a.scratch;
    const int cut = a.dim / 3;
    m.dim_end = cut;
    table.attention_merge(m);
    m.dim_begin = cut;
    m.dim_end = a.dim;
    table.attention_merge(m);
}

void attend(const kernels::KernelTable& table, const Shape& s, KvFormat format, const Cache& cache,
            const Guarded<float>& q, Cut cut, float* out) {
    kernels::AttentionArgs a;
    std::vector<int32_t> first, last;
    std::vector<float> weight;
    for (int i = 0; i < s.dim; ++i) weight.push_back(key_weight(i));
    a.key_pairs = s.key_pairs;
    a.key_weight = s.key_pairs > 0 ? weight.data() : nullptr;
    for (const Range& t : s.tokens) {
        first.push_back(t.first);
        last.push_back(t.last);
    }
    a.stride = s.row();
    a.dim = s.dim;
    a.format = format;
    a.row_bytes = cache.row_bytes();
    const int group = s.heads / s.kv_heads;
    for (size_t t = 0; t < s.tokens.size(); t += static_cast<size_t>(cut.tokens)) {
        a.q = q.data() + static_cast<int64_t>(t) * s.row();
        a.out = out + static_cast<int64_t>(t) * s.row();
        a.tokens = static_cast<int32_t>(std::min(s.tokens.size() - t, static_cast<size_t>(cut.tokens)));
        a.first = first.data() + t;
        a.last = last.data() + t;
        for (int h = 0; h < s.heads; h = a.head_end) {
            a.head_begin = h;
            a.head_end = std::min((h / group + 1) * group, h + cut.heads);
            a.runs = cache.runs(h / group).data();
            a.run_count = static_cast<int32_t>(cache.runs(h / group).size());
            attend_tile(table, a, cut.partials);
        }
    }
}
Cut largest_tile(const Shape& s) {
    const int heads = std::min(s.heads / s.kv_heads, kernels::kAttentionRows);
    return {kernels::kAttentionRows / heads, heads};
}

// Whether f16 and q8_0 caches are multiplied in bf16.
bool multiplies_bf16(const KernelRow& row, KvFormat format) { return row.bf16 && format != KvFormat::f32; }
double to_bf16(double value) {
    const uint32_t bits = kernels::float_bits(static_cast<float>(value));
    return kernels::bits_float((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

// Softmax attention in double, and the tolerance: scores are off by (dim + 3) u sum |q| |k|, which moves a
// weight by twice that (numerator and denominator); sums over C positions and a few functions add (C + 24) u.
// All of it acts on a mean of values, which the largest |v| = 1 bounds. In bf16 the inputs are rounded here as they are
// there (the same bits), and every weight is off by half a unit of 8 bits, in the mean's numerator and denominator.
struct Expected {
    std::vector<double> out;
    double tolerance = 0;
};
Expected expected_attention(const Shape& s, const Cache& cache, const Guarded<float>& q, bool bf16) {
    const auto rounded = [=](double value) { return bf16 ? to_bf16(value) : value; };
    Expected e;
    double worst_score = 0;
    for (size_t t = 0; t < s.tokens.size(); ++t) {
        const auto [first, last] = s.tokens[t];
        for (int h = 0; h < s.heads; ++h) {
            const int g = h / (s.heads / s.kv_heads);
            const float* query = q.data() + static_cast<int64_t>(t) * s.row() + int64_t{h} * s.dim;
            std::vector<double> score;
            double largest = -INFINITY, sum = 0;
            for (int p = first; p < last; ++p) {
                double dot = 0, magnitude = 0;
                for (int i = 0; i < s.dim; ++i) {
                    const float factor = s.from_value(i) ? query[i] * key_weight(i) : query[i];
                    const double product = rounded(factor) * rounded(cache.key(p, g, i));
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
                for (int p = first; p < last; ++p) {
                    mean += score[static_cast<size_t>(p - first)] / sum * rounded(cache.value(2, p, g, i));
                }
                e.out.push_back(mean);
            }
        }
    }
    const int positions = s.end() - s.begin();
    e.tolerance = 2 * kUnitRoundoff * ((s.dim + 3) * worst_score + positions + 24);
    if (bf16) e.tolerance += 2 * 0x1p-9 / (1 - 0x1p-9);
    return e;
}

// Tokens, heads and head sizes of all kinds; windows, a picture's block that is seen whole, one blind token.
std::vector<Shape> shapes() {
    return {{1, 1, 2, {{0, 1}}},
            {4, 2, 6, window(3, 3, 100)},
            {2, 2, 32, {{3, 300}}},
            {6, 2, 64, window(500, 5, 301)},
            {8, 1, 34, {{250, 262}}},
            {3, 1, 160, window(254, 4, 256)},
            {2, 1, 96, {{0, 40}, {10, 60}, {10, 60}, {10, 60}, {30, 30}, {12, 61}}},
            {16, 1, 32, window(600, 4, 1000)},
            {2, 1, 48, window(250, 32, 40)},
            {4, 4, 34, window(20, 9, 16)},
            {20, 1, 26, window(258, 2, 5)},
            {2, 1, 26, window(9, 1, 100)},
            {3, 1, 42, window(300, 1, 200)},
            {16, 1, 512, window(20, 2, 100), 64},
            {4, 2, 128, window(300, 5, 200), 32},
            {1, 1, 16, {{255, 520}}},  // of the first block one position alone is seen
            {4, 2, 48, {{511, 770}}},
            {12, 1, 32, window(512, 2, 258)},
            {2, 1, 40, {{255, 300}}, 6},
            {2, 1, 40, window(9, 3, 100), 6},
            {3, 1, 36, window(9, 3, 100), 4}};
}

}  // namespace

TEST_CASE("attention agrees with a softmax in double") {
    for (const Shape& s : shapes()) {
        for (const KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0}) {
            if (format == KvFormat::q8_0 && s.dim % 32 != 0) continue;
            const Cache cache(s, format, {s.begin(), s.end()});
            Guarded<float> q(s.values()), out(q.size());
            const Expected exact = expected_attention(s, cache, queries(q), false);
            const Expected short_floats = expected_attention(s, cache, q, true);
            for (const KernelRow& row : kAttention.rows()) {
                const Expected& e = multiplies_bf16(row, format) ? short_floats : exact;
                attend(*row.table, s, format, cache, q, largest_tile(s), out.data());
                CAPTURE(row.isa);
                CAPTURE(s.dim);
                CAPTURE(kernels::name(format));
                CHECK(first_difference(out, e.out, out.size(), [&](int64_t) { return e.tolerance; }) == "");
            }
        }
    }
}

namespace {

void check_bits(const Shape& s) {
    const int end = s.end();
    const std::vector<std::vector<int>> runs = {{s.begin(), 150, 255, 256, 257, end}, {3, 100, 511, 513, 699, end}};
    const std::vector<Cut> cuts = {{1, 1}, {1, 3}, {2, 2}, {5, 3}, {8, 3}, {12, 3}, {1, 3, true}, {7, 2, true}};
    for (const KernelRow& row : kAttention.rows()) {
        for (const KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0}) {
            CAPTURE(row.isa);
            CAPTURE(kernels::name(format));
            Guarded<float> q(s.values()), whole(q.size()), other(q.size());
            queries(q);
            const Cache cache(s, format, {0, end});
            attend(*row.table, s, format, cache, q, largest_tile(s), whole.data());
            for (const auto& cut_runs : runs) {
                attend(*row.table, s, format, Cache(s, format, cut_runs), q, largest_tile(s), other.data());
                CHECK(other.same_bytes(whole));
            }
            for (const Cut& cut : cuts) {
                CAPTURE(cut.tokens);
                CAPTURE(cut.heads);
                CAPTURE(cut.partials);
                std::fill(other.begin(), other.end(), NAN);
                attend(*row.table, s, format, cache, q, cut, other.data());
                CHECK(other.same_bytes(whole));
            }
        }
    }
}

}  // namespace

TEST_CASE("the bits of attention do not depend on the cut into runs, tiles, heads or partials") {
    check_bits({6, 2, 64, window(690, 20, 600)});
    check_bits({6, 2, 128, window(690, 20, 600), 32});  // keys taken from values
}

TEST_CASE("a tile of attention leaves the other heads alone") {
    const Shape s = {4, 2, 32, window(5, 2, 16)};
    for (const KernelRow& row : kAttention.rows()) {
        Guarded<float> q(s.values()), out(q.size());
        std::fill(out.begin(), out.end(), 7.0f);
        const Cache cache(s, KvFormat::f16, {0, s.end()});
        const std::vector<int32_t> first = {0, 0}, last = {6, 7};
        kernels::AttentionArgs a;
        a.q = queries(q).data();
        a.out = out.data();
        a.stride = s.row();
        a.tokens = 2;
        a.dim = s.dim;
        a.row_bytes = cache.row_bytes();
        a.runs = cache.runs(0).data();
        a.run_count = 1;
        a.first = first.data();
        a.last = last.data();
        a.head_begin = 1;
        a.head_end = 2;
        attend_tile(*row.table, a, false);
        for (int64_t i = 0; i < out.size(); ++i) CHECK((out[i] == 7.0f) == (i / s.dim % s.heads != 1));
    }
}

TEST_CASE("attention stays finite with scores far apart, and picks the largest") {
    const Shape s = {1, 1, 32, {{0, 600}}};
    for (const KernelRow& row : kAttention.rows()) {
        const Cache cache(s, KvFormat::f32, {0, 600});
        Guarded<float> q(32), out(32);
        queries(q);
        for (float& v : q) v *= 1e4f;
        attend(*row.table, s, KvFormat::f32, cache, q, {1, 1}, out.data());
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
    const Shape s = {2, 1, 32, {{4, 4}, {0, 3}}};
    for (const KernelRow& row : kAttention.rows()) {
        const Cache cache(s, KvFormat::f16, {0, 4});
        for (const Cut& cut : {Cut{1, 2}, Cut{2, 2}, Cut{2, 2, true}}) {
            Guarded<float> q(128), out(128);
            std::fill(out.begin(), out.end(), 1.0f);
            attend(*row.table, s, KvFormat::f16, cache, queries(q), cut, out.data());
            for (int i = 0; i < 128; ++i) CHECK((out[i] == 0.0f) == (i < 64));
        }
    }
}

TEST_CASE("a query that is not a number makes its own row not a number, and no other") {
    const Shape s = {2, 1, 32, {{0, 300}}};
    for (const KernelRow& row : kAttention.rows()) {
        const Cache cache(s, KvFormat::f16, {0, 300});
        Guarded<float> q(64), out(64);
        queries(q)[40] = NAN;
        attend(*row.table, s, KvFormat::f16, cache, q, {1, 2}, out.data());
        for (int i = 0; i < 64; ++i) CHECK(std::isnan(out[i]) == (i >= 32));
    }
}
