// Keys and values: norms with rotation, storing, attention of both kinds of layers of the 12B, what enters the ring. The
// dispatches are those of runtime/vulkan/attention.cpp and kv.cpp, over a cache that is all there.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "bench/shaders_support.h"
#include "runtime/vulkan/attention.h"
#include "runtime/vulkan/kv.h"

namespace lapidary::bench {
namespace {

struct LayerShape {
    const char* name;
    KvClass kv_class;
    int32_t heads, kv_heads, dim, key_pairs, pairs;
    int32_t segment_rows, window;
};
constexpr int32_t kEverything = 1 << 30;
constexpr LayerShape kWindowed = {"window", KvClass::window, 16, 8, 256, 0, 128, 1040, 1024};
constexpr LayerShape kFull = {"full", KvClass::linear, 16, 1, 512, 64, 64, 4096, kEverything};
constexpr LayerShape kSmallWindowed = {"window", KvClass::window, 4, 2, 64, 0, 32, 80, 64};
constexpr LayerShape kSmallFull = {"full", KvClass::linear, 4, 1, 64, 16, 16, 128, kEverything};

// A layer of a cache whose last `columns` positions are the step's own, and the step's inputs.
struct Cache {
    LayerShape layer;
    int32_t position, columns;
    StepShape shape;
    KvTable table;
    KvSegment scratch;
    KvView view;
    StepInputs inputs;
    StepMemory memory;
};

int32_t padded(int64_t bytes) { return static_cast<int32_t>((bytes + 15) / 16 * 16); }

KvView view_of(const LayerShape& l, KvFormat format) {
    const int64_t width = format == KvFormat::f32 ? 4 : format == KvFormat::f16 ? 2 : 1;
    const int64_t keys = l.key_pairs > 0 ? 2 * l.key_pairs : l.dim;
    const bool scaled = format == KvFormat::q8_0;
    KvView v;
    v.kv_class = l.kv_class;
    v.format = format;
    v.kv_heads = l.kv_heads;
    v.dim = l.dim;
    v.key_pairs = l.key_pairs;
    v.row = {padded(keys * width), padded(l.dim * width), scaled ? padded(keys / 16) : 0, scaled ? padded(l.dim / 16) : 0};
    return v;
}

// The pieces of [first, last) as they lie in the ring, or in the segments that grow: piece(segment, row, position, rows).
template <class Piece>
void pieces(const LayerShape& l, int32_t first, int32_t last, const Piece& piece) {
    for (int32_t p = first; p < last;) {
        const int32_t row = p % l.segment_rows, rows = std::min(last - p, l.segment_rows - row);
        piece(l.kv_class == KvClass::window ? 0 : p / l.segment_rows, row, p, rows);
        p += rows;
    }
}

void plan(Cache& c) {
    const LayerShape& l = c.layer;
    const int32_t end = c.position + c.columns, oldest = std::max(0, c.position - l.window + 1);
    KvStep& s = c.inputs.kv(l.kv_class);
    const auto to = [](auto& list, int32_t& count) {
        return [&](int32_t segment, int32_t row, int32_t p, int32_t rows) {
            list[static_cast<size_t>(count++)] = {segment, row, p, rows};
        };
    };
    c.inputs.position() = c.position;
    pieces(l, oldest, c.view.scratch ? c.position : end, to(s.spans, s.span_count));
    if (!c.view.scratch) {
        pieces(l, c.position, end, to(s.stores, s.store_count));
    } else {
        s.spans[static_cast<size_t>(s.span_count++)] = s.stores[0] = {kScratchSegment, 0, c.position, c.columns};
        s.store_count = 1;
        pieces(l, std::max(c.position, end - l.segment_rows), end, [&](int32_t, int32_t row, int32_t p, int32_t rows) {
            s.commits[static_cast<size_t>(s.commit_count++)] = {p - c.position, row, rows};
        });
    }
    for (int32_t t = 0; t < c.columns; ++t) {
        c.inputs.last(l.kv_class)[t] = c.position + t + 1;
        c.inputs.first(l.kv_class)[t] = std::max(0, c.position + t + 1 - l.window);
    }
}

Result<KvSegment> segment(Gpu& gpu, Work& work, const KvView& v, int64_t rows) {
    rows = (rows + 3) / 4 * 4;
    LAP_ASSIGN(const auto buffer, gpu.random(work, rows * v.position_bytes()));
    return KvSegment{buffer, rows};
}

Result<void> make_memory(Gpu& gpu, Work& work, Cache& c) {
    const LayerShape& l = c.layer;
    const int32_t ring = l.kv_class == KvClass::window ? 1 : (c.position + c.columns - 1) / l.segment_rows + 1;
    for (int32_t i = 0; i < ring; ++i) {
        LAP_ASSIGN(c.table.segments.emplace_back(), segment(gpu, work, c.view, l.segment_rows));
    }
    c.view.table = &c.table;
    if (l.kv_class == KvClass::window && c.columns > 16) {
        LAP_ASSIGN(c.scratch, segment(gpu, work, c.view, c.columns));
        c.view.scratch = &c.scratch;
    }
    LAP_ASSIGN(const auto weight, gpu.random(work, l.dim * 4));
    c.view.key_weight = runtime::view(weight, Format::f32, 1, l.dim);
    LAP_ASSIGN(const auto block, gpu.host(work, static_cast<int64_t>(StepInputs::bytes(c.shape))));
    LAP_ASSIGN(const auto tables, gpu.host(work, static_cast<int64_t>(2 * kMaxSpans * sizeof(SegmentEntry))));
    const auto scratch_bytes = static_cast<int64_t>(attention_scratch_bytes(c.shape));
    LAP_ASSIGN(const auto partials, gpu.random(work, std::max<int64_t>(64, scratch_bytes)));
    c.inputs = StepInputs(block->mapped(), c.shape);
    const uint64_t half = tables->bytes / 2;
    c.memory = {&c.inputs, c.columns, range_of(*block, 0, block->bytes),
                {range_of(*tables, 0, half), range_of(*tables, half, half)}, range_of(*partials, 0, partials->bytes)};
    auto* entries = reinterpret_cast<SegmentEntry*>(tables->mapped() + (l.kv_class == KvClass::window ? 0 : half));
    const auto entry = [](const KvSegment& s) {
        return SegmentEntry{vulkan_buffer(*s.buffer).address(), static_cast<uint32_t>(s.rows), 0};
    };
    for (size_t i = 0; i < c.table.segments.size(); ++i) entries[i] = entry(c.table.segments[i]);
    if (c.view.scratch) entries[kScratchSegment] = entry(c.scratch);
    return {};
}

// Kept by `work`: dispatches point into it.
Result<std::shared_ptr<Cache>> make_cache(Gpu& gpu, Work& work, const LayerShape& l, KvFormat format, int32_t position,
                                          int32_t columns) {
    auto c = std::make_shared<Cache>();
    c->layer = l;
    c->position = position;
    c->columns = columns;
    c->shape.columns = c->shape.leaving = columns;
    c->shape.widest = l.heads * l.dim;
    c->shape.head_dim = l.dim;
    c->shape.pairs = {l.pairs, l.pairs};
    c->view = view_of(l, format);
    work.keeps.push_back(c);
    LAP_TRY(make_memory(gpu, work, *c));
    plan(*c);
    return c;
}

Result<TensorView> rows(Gpu& gpu, Work& work, int64_t columns, int64_t width) {
    LAP_ASSIGN(const auto buffer, gpu.random(work, columns * width * 4));
    return view(buffer, Format::f32, columns, width);
}

// Positions that a call reads in all of its columns together, each once.
double positions_read(const Cache& c) { return std::min(c.position + c.columns, c.layer.window + c.columns - 1); }
// Pairs of a column and a visible position.
double pairs_of(const Cache& c) {
    double sum = 0;
    for (int32_t t = 0; t < c.columns; ++t) sum += std::min(c.position + t + 1, c.layer.window);
    return sum;
}

Result<Work> attention(Gpu& gpu, const LayerShape& l, KvFormat format, int32_t position, int32_t columns) {
    Work work;
    LAP_ASSIGN(const auto c, make_cache(gpu, work, l, format, position, columns));
    LAP_ASSIGN(const TensorView q, rows(gpu, work, columns, l.heads * l.dim));
    LAP_ASSIGN(const TensorView to, rows(gpu, work, columns, l.heads * l.dim));
    note_attention(q, c->view, to, c->memory, work.calls.emplace_back());
    work.bytes = positions_read(*c) * static_cast<double>(c->view.position_bytes()) + 2.0 * static_cast<double>(q.bytes());
    work.macs = pairs_of(*c) * 2.0 * l.heads * l.dim;
    return work;
}

Result<Work> norm_rope(Gpu& gpu, const LayerShape& l, int32_t columns) {
    Work work;
    LAP_ASSIGN(const auto c, make_cache(gpu, work, l, KvFormat::f16, 0, columns));
    LAP_ASSIGN(const TensorView q, rows(gpu, work, columns, l.heads * l.dim));
    note_norm_rope(q, c->view.key_weight, 1e-6f, l.kv_class, c->memory, work.calls.emplace_back());
    work.bytes = 2.0 * static_cast<double>(q.bytes());
    return work;
}

Result<Work> store(Gpu& gpu, const LayerShape& l, KvFormat format, int32_t columns) {
    Work work;
    LAP_ASSIGN(const auto c, make_cache(gpu, work, l, format, 0, columns));
    LAP_ASSIGN(const TensorView k, rows(gpu, work, columns, l.kv_heads * l.dim));
    LAP_ASSIGN(const TensorView v, rows(gpu, work, columns, l.kv_heads * l.dim));
    note_norm_rope_store(k, v, c->view.key_weight, 1e-6f, c->view, c->memory, work.calls.emplace_back());
    work.bytes = 2.0 * static_cast<double>(k.bytes()) + static_cast<double>(columns * c->view.position_bytes());
    return work;
}

Result<Work> commit(Gpu& gpu, const LayerShape& l, int32_t columns) {
    Work work;
    LAP_ASSIGN(const auto c, make_cache(gpu, work, l, KvFormat::f16, 0, columns));
    note_commit_kv(c->view, c->memory, work.calls.emplace_back());
    work.bytes = 2.0 * std::min(columns, l.segment_rows) * static_cast<double>(c->view.position_bytes());
    return work;
}

KvFormat kv_format_of(const ShaderRow& row) {
    return has_define(row, "F16") ? KvFormat::f16 : has_define(row, "Q8_0") ? KvFormat::q8_0 : KvFormat::f32;
}

}  // namespace

Cases attention_cases(const ShaderRow& row, Shader shader, const Gpu& gpu) {
    Cases out;
    const std::vector<LayerShape> layers = gpu.small() ? std::vector{kSmallWindowed, kSmallFull} : std::vector{kWindowed, kFull};
    const auto add = [&](const LayerShape& l, int64_t columns, const std::string& more, auto make) {
        out.push_back({shader, concat(row.name, "/", l.name, "/columns:", columns, more), std::move(make)});
    };
    for (const LayerShape& l : layers)
        for (const int64_t n : gpu.small() ? std::vector<int64_t>{1, 24} : std::vector<int64_t>{1, 512}) {
            const auto columns = static_cast<int32_t>(n);
            if (row.source == "attention.comp" || (row.source == "attention_merge.comp" && n == 1)) {
                for (const int32_t depth : gpu.small() ? std::vector{100} : std::vector{1024, 8192, 32768})
                    if (l.kv_class == KvClass::linear || depth <= 1024)
                        add(l, n, concat("/depth:", depth),
                            [=, f = row.source == "attention.comp" ? kv_format_of(row) : KvFormat::f16](Gpu& g) {
                                return attention(g, l, f, depth, columns);
                            });
            } else if (shader == Shader::norm_rope) {
                add(l, n, "", [=](Gpu& g) { return norm_rope(g, l, columns); });
            } else if (row.source == "norm_rope.comp") {
                add(l, n, "", [=, f = kv_format_of(row)](Gpu& g) { return store(g, l, f, columns); });
            } else if (shader == Shader::commit_kv && l.kv_class == KvClass::window && n > 16) {
                add(l, n, "", [=](Gpu& g) { return commit(g, l, columns); });
            }
        }
    return out;
}

}  // namespace lapidary::bench
