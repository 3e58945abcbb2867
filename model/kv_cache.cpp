// Where the rows of a step go, and which rows its tokens see.
#include "model/kv_cache.h"

#include <algorithm>

#include "base/try.h"

namespace lapidary::model {

using runtime::KvClass;
using runtime::KvCopy;
using runtime::KvFormat;
using runtime::KvSegment;
using runtime::KvSpan;
using runtime::KvStep;

namespace {

int64_t padded(int64_t bytes) { return (bytes + 15) / 16 * 16; }

int64_t value_row_bytes(KvFormat format, int64_t values) {
    const int64_t width = format == KvFormat::f32 ? 4 : format == KvFormat::f16 ? 2 : 1;
    return padded(values * width);
}
int64_t scale_row_bytes(KvFormat format, int64_t values) {
    return format == KvFormat::q8_0 ? padded(values / 32 * 2) : 0;
}

int32_t ring_rows(const ModelConfig& config, int32_t context) {
    return std::min(config.window, context) + kRingSlack;
}

KvStep& step_of(runtime::StepParams& params, KvClass c) { return params.kv[static_cast<size_t>(c)]; }

void push(KvStep& step, const KvSpan& span) { step.spans[static_cast<size_t>(step.span_count++)] = span; }
void push_store(KvStep& step, const KvSpan& span) { step.stores[static_cast<size_t>(step.store_count++)] = span; }

}  // namespace

int32_t key_pairs(const ModelConfig& config, const LayerConfig& layer, KvFormat format) {
    const int32_t pairs = config.rope(layer.kind).pairs, half = layer.head_dim / 2;
    const int32_t unit = format == KvFormat::q8_0 ? 32 : 2;
    const bool fits = pairs > 0 && pairs < half && pairs % unit == 0 && half % unit == 0;
    return layer.k_eq_v && layer.kind == LayerKind::full && fits ? pairs : 0;
}

KvCache::Rows KvCache::row_sizes(const ModelConfig& config, const LayerConfig& layer, KvFormat format) {
    const int32_t pairs = key_pairs(config, layer, format);
    const int64_t values = int64_t{layer.kv_heads} * layer.head_dim;
    const int64_t keys = pairs > 0 ? int64_t{layer.kv_heads} * 2 * pairs : values;
    return {value_row_bytes(format, keys), scale_row_bytes(format, keys), value_row_bytes(format, values),
            scale_row_bytes(format, values)};
}

Result<KvCache> KvCache::create(runtime::Device& device, const ModelConfig& config, KvFormat format,
                                int32_t context) {
    KvCache cache;
    cache.device_ = &device;
    cache.format_ = format;
    cache.context_ = context;
    cache.window_ = config.window;
    cache.ring_rows_ = ring_rows(config, context);
    for (const LayerConfig& l : config.layers) {
        if (format == KvFormat::q8_0 && l.head_dim % 32 != 0)
            return Error{Errc::invalid_argument,
                         "a q8_0 cache needs head sizes that are multiples of 32, this model has " +
                             std::to_string(l.head_dim),
                         "set EngineOptions::kv to f16"};
        Layer layer{l.kind == LayerKind::sliding ? KvClass::window : KvClass::linear,
                    l.kv_heads,
                    l.head_dim,
                    key_pairs(config, l, format),
                    row_sizes(config, l, format),
                    {}};
        cache.layers_.push_back(std::move(layer));
    }
    for (Layer& layer : cache.layers_) {
        if (layer.kv_class != KvClass::window) continue;
        LAP_ASSIGN(auto ring, cache.make_segment(layer, cache.ring_rows_));
        layer.segments.push_back(std::move(ring));
    }
    return cache;
}

Result<std::unique_ptr<KvSegment>> KvCache::make_segment(const Layer& layer, int32_t rows) const {
    auto segment = std::make_unique<KvSegment>();
    segment->rows = rows;
    const auto plane = [&](runtime::Buffer& buffer, int64_t bytes) -> Result<void> {
        if (bytes > 0) {
            LAP_ASSIGN(buffer, device_->allocate(static_cast<size_t>(rows * bytes)));
        }
        return {};
    };
    LAP_TRY(plane(segment->k, layer.row.k));
    LAP_TRY(plane(segment->v, layer.row.v));
    LAP_TRY(plane(segment->k_scales, layer.row.k_scales));
    LAP_TRY(plane(segment->v_scales, layer.row.v_scales));
    return segment;
}

Result<void> KvCache::reserve(int32_t end) {
    if (end <= reserved_) return {};
    for (Layer& layer : layers_) {
        if (layer.kv_class != KvClass::linear) continue;
        while (static_cast<int32_t>(layer.segments.size()) * kSegmentRows < end) {
            const int32_t first = static_cast<int32_t>(layer.segments.size()) * kSegmentRows;
            LAP_ASSIGN(auto segment, make_segment(layer, std::min(kSegmentRows, context_ - first)));
            layer.segments.push_back(std::move(segment));
        }
    }
    reserved_ = end;
    return {};
}

Result<void> KvCache::reserve_scratch(KvScratch& scratch, int32_t rows) const {
    Rows row{};
    for (const Layer& layer : layers_) {
        if (layer.kv_class != KvClass::window) continue;
        row = {std::max(row.k, layer.row.k), std::max(row.k_scales, layer.row.k_scales),
               std::max(row.v, layer.row.v), std::max(row.v_scales, layer.row.v_scales)};
    }
    if (scratch.segment.rows >= rows && scratch.row_bytes >= static_cast<size_t>(row.all())) return {};
    const Layer widest{KvClass::window, 0, 0, 0, row, {}};
    LAP_ASSIGN(auto segment, make_segment(widest, rows));
    scratch.segment = std::move(*segment);
    scratch.row_bytes = static_cast<size_t>(row.all());
    return {};
}

void KvCache::plan_step(int32_t position, int32_t columns, runtime::StepParams& params) const {
    KvStep& linear = step_of(params, KvClass::linear);
    linear.span_count = linear.store_count = linear.commit_count = 0;
    const int32_t end = position + columns;
    for (int32_t s = 0; s * kSegmentRows < end; ++s) {
        const int32_t first = s * kSegmentRows, last = std::min(end, first + kSegmentRows);
        push(linear, {s, 0, first, last - first});
        if (last > position) {
            const int32_t from = std::max(first, position);
            push_store(linear, {s, from - first, from, last - from});
        }
    }

    // Ring slot of position p is p mod ring_rows. Segment 0 is the ring, segment 1 the scratch.
    KvStep& window = step_of(params, KvClass::window);
    window.span_count = window.store_count = window.commit_count = 0;
    for (int32_t p = std::max(0, position - window_ + 1); p < position;) {
        const int32_t slot = p % ring_rows_;
        const int32_t count = std::min(position - p, ring_rows_ - slot);
        push(window, {0, slot, p, count});
        p += count;
    }
    push(window, {1, 0, position, columns});
    push_store(window, {1, 0, position, columns});
    for (int32_t p = std::max(position, end - ring_rows_); p < end;) {
        const int32_t slot = p % ring_rows_;
        const int32_t count = std::min(end - p, ring_rows_ - slot);
        window.commits[static_cast<size_t>(window.commit_count++)] = {p - position, slot, count};
        p += count;
    }
}

bool KvCache::can_rewind(int32_t computed, int32_t position) const {
    const bool windowed = std::any_of(layers_.begin(), layers_.end(),
                                      [](const Layer& l) { return l.kv_class == KvClass::window; });
    if (!windowed || position == 0 || position == computed) return true;
    // The next token at `position` sees keys from position - window + 1; the ring holds the last ring_rows.
    return std::max(0, position - window_ + 1) >= computed - ring_rows_;
}

KvCache::LayerView KvCache::layer(size_t index, const KvScratch& scratch) const {
    const Layer& l = layers_[index];
    LayerView out;
    for (const auto& s : l.segments) out.segments.push_back(s.get());
    if (l.kv_class == KvClass::window) out.segments.push_back(&scratch.segment);
    out.view = {out.segments, l.kv_class, format_, l.kv_heads, l.dim, l.row.v, l.row.v_scales};
    out.view.key_pairs = l.key_pairs;
    out.view.key_row_bytes = l.row.k;
    out.view.key_scale_row_bytes = l.row.k_scales;
    return out;
}

uint64_t KvCache::bytes() const {
    uint64_t total = 0;
    for (const Layer& l : layers_)
        for (const auto& s : l.segments)
            total += static_cast<uint64_t>(s->rows) * static_cast<uint64_t>(l.row.all());
    return total;
}

uint64_t KvCache::read_bytes(int32_t position) const {
    uint64_t total = 0;
    for (const Layer& l : layers_) {
        const int32_t rows = l.kv_class == KvClass::window ? std::min(position + 1, window_) : position + 1;
        total += static_cast<uint64_t>(rows) * static_cast<uint64_t>(l.row.all());
    }
    return total;
}

uint64_t KvCache::bytes_for(const ModelConfig& config, KvFormat format, int32_t context) {
    uint64_t total = 0;
    for (const LayerConfig& l : config.layers) {
        const int64_t rows = l.kind == LayerKind::sliding ? ring_rows(config, context) : context;
        total += static_cast<uint64_t>(rows * row_sizes(config, l, format).all());
    }
    return total;
}

}  // namespace lapidary::model
