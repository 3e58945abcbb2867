// Attention with norms, rotation and storing in front, and a window's rows on their way into its ring; see self_test.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/try.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/self_test_rows.h"

namespace lapidary::runtime::vulkan {
namespace {

int64_t padded(int64_t bytes) { return (bytes + 15) / 16 * 16; }

KvRowBytes row_bytes_of(const AttentionCase& c) {
    const int64_t width = c.format == KvFormat::f32 ? 4 : c.format == KvFormat::f16 ? 2 : 1;
    const int64_t keys = c.key_pairs > 0 ? 2 * c.key_pairs : c.dim;
    const bool scales = c.format == KvFormat::q8_0;
    return {padded(keys * width), padded(c.dim * width), scales ? padded(keys / 32 * 2) : 0, scales ? padded(c.dim / 32 * 2) : 0};
}

// Rows of keys and values in [-1, 1), as a cache of the format has them.
void fill_cache(const AttentionCase& c, int64_t rows, std::byte* out) {
    Random random(10);
    const KvRowBytes row = row_bytes_of(c);
    const int64_t values = c.kv_heads * rows * (row.k + row.v), scales = c.kv_heads * rows * (row.k_scales + row.v_scales);
    if (c.format == KvFormat::f32) return fill_blocks(Format::f32, values / 4, random, out);
    if (c.format == KvFormat::f16) return fill_blocks(Format::f16, values / 2, random, out);
    for (int64_t i = 0; i < values; ++i) out[i] = static_cast<std::byte>(random.bits() >> 8);
    for (int64_t i = 0; i < scales / 2; ++i) {
        const uint16_t half = half_bits((1.5f + random.value()) / 256);
        std::memcpy(out + values + 2 * i, &half, 2);
    }
}

KvView view_of(const AttentionCase& c, const KvTable& table) {
    KvView view;
    view.table = &table;
    view.kv_class = c.kv_class;
    view.format = c.format;
    view.kv_heads = c.kv_heads;
    view.dim = c.dim;
    view.key_pairs = c.key_pairs;
    view.row = row_bytes_of(c);
    return view;
}

// A ring or one segment of so many rows, the step's own rows straight in their places.
void plan(const AttentionCase& c, int32_t rows, KvStep& step) {
    step.span_count = step.store_count = step.commit_count = 0;
    const int32_t end = c.position + c.columns, first = c.window > 0 ? std::max(0, c.position - c.window + 1) : 0;
    const auto pieces = [&](int32_t from, auto& list, int32_t& count) {
        for (int32_t p = from; p < end;) {
            const int32_t n = std::min(end - p, rows - p % rows);
            list[static_cast<size_t>(count++)] = {0, p % rows, p, n};
            p += n;
        }
    };
    pieces(first, step.spans, step.span_count);
    pieces(c.position, step.stores, step.store_count);
}

}  // namespace

// Scores are sums of dim products of at most 1 and a query scaled to some units; softmax turns their errors, and those of
// exp, into relative ones of the weights. Stored rows are rounded alike on both sides, but for values between two.
Result<void> SelfTest::attention(const AttentionCase& c, const ProductCase* reader) {
    const int32_t rows_held = ((c.window > 0 ? c.window + 16 : c.position + c.columns) + 3) / 4 * 4;
    const KvRowBytes row = row_bytes_of(c);
    const int64_t cache_bytes = c.kv_heads * rows_held * (row.k + row.v + row.k_scales + row.v_scales);
    LAP_ASSIGN(Buffer source, allocate_host(static_cast<size_t>(cache_bytes)));
    fill_cache(c, rows_held, host_bytes(*source));
    LAP_ASSIGN(const Rows cache, place(std::move(source), Format::f32, 1, cache_bytes / 4, Use::values));
    LAP_ASSIGN(const Rows q, rows(Format::f32, c.columns, int64_t{c.heads} * c.dim, 11));
    LAP_ASSIGN(const Rows k, rows(Format::f32, c.columns, int64_t{c.kv_heads} * c.dim, 12));
    LAP_ASSIGN(const Rows v, rows(Format::f32, c.columns, int64_t{c.kv_heads} * c.dim, 13));
    LAP_ASSIGN(const Rows q_weight, rows(Format::f32, 1, c.dim, 14));
    LAP_ASSIGN(const Rows k_weight, rows(Format::f32, 1, c.dim, 15));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, q.host.cols, 16));
    LAP_ASSIGN(const Reading behind, reading(reader, 17));
    KvTable tables[2];
    KvView views[2];
    for (const bool g : {false, true}) {
        tables[g].segments = {{g ? cache.on_gpu : cache.on_cpu, rows_held}};
        views[g] = view_of(c, tables[g]);
        views[g].key_weight = k_weight.on(g);
    }
    StepShape shape{.columns = c.columns, .leaving = c.columns, .pairs = {c.pairs, c.pairs}, .widest = c.heads * c.dim, .head_dim = c.dim};
    const auto fill = [&](const StepInputs& in) {
        in.position() = c.position;
        for (const KvClass kind : {KvClass::window, KvClass::linear}) {
            plan(c, rows_held, in.kv(kind));
            for (int32_t t = 0; t < c.columns; ++t) {
                in.last(kind)[t] = c.position + t + 1;
                in.first(kind)[t] = c.window > 0 ? std::max(0, c.position + t + 1 - c.window) : 0;
                for (int32_t i = 0; i < c.pairs; ++i) {
                    in.cosine(kind)[t * c.pairs + i] = static_cast<float>(std::cos(0.1 * (t + i)));
                    in.sine(kind)[t * c.pairs + i] = static_cast<float>(std::sin(0.1 * (t + i)));
                }
            }
        }
    };
    LAP_TRY(run(shape, fill, [&](Device& d, bool g) {
        d.norm_rope_store(k.on(g), v.on(g), k_weight.on(g), 1e-6f, views[g]);
        d.norm_rope(q.on(g), q_weight.on(g), 1e-6f, c.kv_class);
        d.attention(q.on(g), views[g], out.on(g));
        if (g && behind) behind.note(d, out.gpu);
    }));
    // |q| <= sqrt(3 dim): of a normed head; scores within |q| |k|.
    const double score = std::sqrt(3.0 * c.dim) * std::sqrt(static_cast<double>(c.dim));
    const double positions = c.window > 0 ? c.window : c.position + c.columns;
    const double rounding = 2 * (c.dim + 3) * score * kUnit + 4 * (3 + 2 * score) * kUnit + (positions / 64 + 24) * kUnit;
    const double one_off = c.format == KvFormat::q8_0 ? 3.0 * c.columns / 127 : c.format == KvFormat::f16 ? 3.0 * c.columns / 1024 : 0;
    LAP_TRY(compare("attention", out, [&](int64_t) { return 4 * rounding + one_off; }));
    return compare(behind, out);
}

// Bytes as they are: numbers of f32 stand for those of any format. The ring's end is crossed.
Result<void> SelfTest::commit(const AttentionCase& c) {
    constexpr int32_t kColumns = 20, kBeforeEnd = 7;  // as many as go by way of the scratch
    const int32_t ring_rows = c.window + 16, kept = std::min(kColumns, ring_rows);
    const KvRowBytes row = row_bytes_of(c);
    const int64_t position_bytes = c.kv_heads * (row.k + row.v + row.k_scales + row.v_scales);
    LAP_ASSIGN(const Rows ring, rows(Format::f32, 1, ring_rows * position_bytes / 4, 18));
    LAP_ASSIGN(const Rows scratch, rows(Format::f32, 1, kColumns * position_bytes / 4, 19));
    KvTable tables[2];
    KvSegment scratches[2];
    KvView views[2];
    for (const bool g : {false, true}) {
        tables[g].segments = {{g ? ring.on_gpu : ring.on_cpu, ring_rows}};
        scratches[g] = {g ? scratch.on_gpu : scratch.on_cpu, kColumns};
        views[g] = view_of(c, tables[g]);
        views[g].scratch = &scratches[g];
    }
    const auto fill = [&](const StepInputs& in) {
        KvStep& step = in.kv(c.kv_class);
        step.span_count = step.store_count = 0;
        step.commits[0] = {0, ring_rows - kBeforeEnd, kBeforeEnd};
        step.commits[1] = {kBeforeEnd, 0, kept - kBeforeEnd};
        step.commit_count = 2;
    };
    const StepShape shape{.columns = kColumns, .leaving = kColumns, .widest = c.dim, .head_dim = c.dim};
    LAP_TRY(run(shape, fill, [&](Device& d, bool g) { d.commit_kv(views[g]); }));
    return compare("ring", ring, [](int64_t) { return 0; });
}

}  // namespace lapidary::runtime::vulkan
