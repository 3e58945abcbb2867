// Where the rows of a step go, and which rows its tokens see.
#include "model/kv_cache.h"

#include <algorithm>

#include "base/try.h"

namespace lapidary::model {

using runtime::KvClass;
using runtime::KvCopy;
using runtime::KvFormat;
using runtime::KvRowBytes;
using runtime::KvSpan;
using runtime::KvStep;
using runtime::KvView;

namespace {

int64_t padded(int64_t bytes) { return (bytes + 15) / 16 * 16; }

int64_t value_row_bytes(KvFormat format, int64_t values) {
    const int64_t width = format == KvFormat::f32 ? 4 : format == KvFormat::f16 ? 2 : 1;
    return padded(values * width);
}
int64_t scale_row_bytes(KvFormat format, int64_t values) {
    return format == KvFormat::q8_0 ? padded(values / 32 * 2) : 0;
}

KvClass class_of(LayerKind kind) { return kind == LayerKind::sliding ? KvClass::window : KvClass::linear; }

// A layer's sizes; where its rows lie is for the cache to say.
KvView layer_view(const ModelConfig& config, const LayerConfig& layer, KvFormat format) {
    KvView view;
    view.kv_class = class_of(layer.kind);
    view.format = format;
    view.kv_heads = layer.kv_heads;
    view.dim = layer.head_dim;
    view.key_pairs = key_pairs(config, layer, format);
    const int64_t keys = view.key_pairs > 0 ? 2 * view.key_pairs : view.dim;
    view.row = {value_row_bytes(format, keys), value_row_bytes(format, view.dim), scale_row_bytes(format, keys),
                scale_row_bytes(format, view.dim)};
    return view;
}

// So that every plane begins at a line of the processor's cache.
int32_t segment_rows(int32_t rows) { return (rows + kCacheRows - 1) / kCacheRows * kCacheRows; }

int32_t ring_rows(const ModelConfig& config, int32_t context) {
    return std::min(config.window, context) + kRingSlack;
}

void push(KvStep& step, const KvSpan& span) { step.spans[static_cast<size_t>(step.span_count++)] = span; }
void push_store(KvStep& step, const KvSpan& span) { step.stores[static_cast<size_t>(step.store_count++)] = span; }

}  // namespace

int32_t key_pairs(const ModelConfig& config, const LayerConfig& layer, KvFormat format) {
    const int32_t pairs = config.rope(layer.kind).pairs, half = layer.head_dim / 2;
    const int32_t unit = format == KvFormat::q8_0 ? 32 : 2;
    const bool fits = pairs > 0 && pairs < half && pairs % unit == 0 && half % unit == 0;
    return layer.k_eq_v && layer.kind == LayerKind::full && fits ? pairs : 0;
}

Result<KvCache> KvCache::create(runtime::Device& device, const ModelConfig& config, int32_t first, int32_t last,
                                KvFormat format, int32_t context, runtime::MemoryKind kind) {
    KvCache cache;
    cache.device_ = &device;
    cache.kind_ = kind;
    cache.context_ = context;
    cache.window_ = config.window;
    cache.ring_rows_ = ring_rows(config, context);
    cache.first_layer_ = first;
    for (int32_t i = first; i < last; ++i) {
        const LayerConfig& l = config.layers[static_cast<size_t>(i)];
        if (format == KvFormat::q8_0 && l.head_dim % 32 != 0)
            return Error{Errc::invalid_argument,
                         "a q8_0 cache needs head sizes that are multiples of 32, this model has " +
                             std::to_string(l.head_dim),
                         "set EngineOptions::kv to f16"};
        KvView layer = layer_view(config, l, format);
        int64_t& bytes = cache.position_bytes_[static_cast<size_t>(layer.kv_class)];
        layer.layer_bytes = bytes;
        bytes += layer.position_bytes();
        cache.layers_.push_back(layer);
    }
    cache.make_tables();
    LAP_TRY(cache.add_segment(KvClass::window, cache.ring_rows_));
    return cache;
}

void KvCache::make_tables() {
    tables_ = std::make_unique<Tables>();
    const uint64_t id = runtime::new_identity();
    for (auto& t : tables_->of) t.cache = id;
    for (KvView& layer : layers_) layer.table = &table(layer.kv_class);
}

Result<KvCache> KvCache::fork(int32_t end) const {
    KvCache fork;
    fork.device_ = device_;
    fork.kind_ = kind_;
    fork.context_ = context_;
    fork.window_ = window_;
    fork.ring_rows_ = ring_rows_;
    fork.first_layer_ = first_layer_;
    std::copy(std::begin(position_bytes_), std::end(position_bytes_), fork.position_bytes_);
    fork.layers_ = layers_;
    fork.make_tables();
    const auto& segments = table(KvClass::linear).segments;
    for (int32_t first = 0; first < end; first += kSegmentRows) {
        runtime::KvSegment segment = segments[static_cast<size_t>(first / kSegmentRows)];
        if (end - first < kSegmentRows) {
            LAP_ASSIGN(segment, copy_of(segment));
        }
        fork.table(KvClass::linear).segments.push_back(std::move(segment));
    }
    LAP_ASSIGN(auto ring, copy_of(table(KvClass::window).segments[0]));
    fork.table(KvClass::window).segments.push_back(std::move(ring));
    return fork;
}

Result<runtime::KvSegment> KvCache::copy_of(const runtime::KvSegment& segment) const {
    runtime::KvSegment copy{nullptr, segment.rows};
    if (!segment.buffer) return copy;
    LAP_ASSIGN(copy.buffer, device_->allocate(segment.buffer->bytes, kind_));
    LAP_TRY(device_->copy(segment.buffer, 0, copy.buffer, 0, segment.buffer->bytes));
    return copy;
}

Result<KvCheckpoint> KvCache::checkpoint(int32_t stored) const {
    KvCheckpoint out;
    out.stored = stored;
    LAP_ASSIGN(out.ring, copy_of(table(KvClass::window).segments[0]));
    return out;
}

Result<void> KvCache::restore(const KvCheckpoint& checkpoint) {
    const runtime::KvSegment& ring = table(KvClass::window).segments[0];  // recordings keep its place
    if (!ring.buffer) return {};
    return device_->copy(checkpoint.ring.buffer, 0, ring.buffer, 0, ring.buffer->bytes);
}

Result<KvCheckpoint> KvCache::empty_checkpoint(int32_t stored) const {
    const runtime::KvSegment& ring = table(KvClass::window).segments[0];
    KvCheckpoint out{{nullptr, ring.rows}, stored};
    if (ring.buffer) {
        LAP_ASSIGN(out.ring.buffer, device_->allocate(ring.buffer->bytes, kind_));
    }
    return out;
}

std::vector<KvCache::Run> KvCache::runs(int32_t index, int32_t first, int32_t end, const runtime::KvSegment* ring) const {
    const KvView& layer = layers_[static_cast<size_t>(index - first_layer_)];
    const bool window = layer.kv_class == KvClass::window;
    const int32_t pieces_end = window ? ring_rows_ : kSegmentRows;  // a line of rows ends there
    std::vector<Run> out;
    for (const auto plane : {&KvRowBytes::k, &KvRowBytes::v, &KvRowBytes::k_scales, &KvRowBytes::v_scales}) {
        if (layer.row.*plane == 0) continue;
        for (int32_t head = 0; head < layer.kv_heads; ++head)
            for (int32_t p = first; p < end;) {
                const int32_t slot = p % pieces_end, count = std::min(end - p, pieces_end - slot);
                const int32_t i = window ? 0 : p / kSegmentRows;
                const runtime::KvSegment& segment = ring && window ? *ring : layer.segment(i);
                out.push_back({segment.buffer, static_cast<size_t>(layer.offsets(i, head, slot).*plane), static_cast<size_t>(count * layer.row.*plane)});
                p += count;
            }
    }
    return out;
}

uint64_t KvCache::checkpoint_bytes() const {
    return static_cast<uint64_t>(segment_rows(ring_rows_) * position_bytes_[static_cast<size_t>(KvClass::window)]);
}

Result<void> KvCache::add_segment(KvClass c, int32_t rows) {
    runtime::KvSegment segment{nullptr, segment_rows(rows)};
    const int64_t bytes = segment.rows * position_bytes_[static_cast<size_t>(c)];
    if (bytes > 0) {
        LAP_ASSIGN(segment.buffer, device_->allocate(static_cast<size_t>(bytes), kind_));
    }
    table(c).segments.push_back(std::move(segment));
    return {};
}

Result<void> KvCache::reserve(int32_t begin, int32_t end) {
    auto& segments = table(KvClass::linear).segments;
    for (size_t i = static_cast<size_t>(begin / kSegmentRows); i < segments.size(); ++i) {
        if (static_cast<int32_t>(i) * kSegmentRows >= end) break;
        if (segments[i].buffer.use_count() > 1) {  // a fork's too
            LAP_ASSIGN(segments[i], copy_of(segments[i]));
        }
    }
    while (static_cast<int32_t>(segments.size()) * kSegmentRows < end) {
        const int32_t first = static_cast<int32_t>(segments.size()) * kSegmentRows;
        LAP_TRY(add_segment(KvClass::linear, std::min(kSegmentRows, context_ - first)));
    }
    return {};
}

uint64_t KvCache::growth(int32_t begin, int32_t end) const {
    const auto& segments = table(KvClass::linear).segments;
    int64_t rows = 0;
    for (int32_t first = begin / kSegmentRows * kSegmentRows; first < end; first += kSegmentRows) {
        const auto i = static_cast<size_t>(first / kSegmentRows);
        if (i >= segments.size() || segments[i].buffer.use_count() > 1) rows += segment_rows(std::min(kSegmentRows, context_ - first));
    }
    return static_cast<uint64_t>(rows * position_bytes_[static_cast<size_t>(KvClass::linear)]);
}

Result<void> KvCache::make_up(int32_t end) {
    constexpr uint32_t kTenths = 0x2E662E66;  // 0.1 in f16, finite in f32, 46 and 102 in int8
    LAP_TRY(reserve(0, end));
    for (const KvClass c : {KvClass::window, KvClass::linear})
        for (const runtime::KvSegment& segment : table(c).segments)
            if (segment.buffer) LAP_TRY(device_->fill(segment.buffer, kTenths));
    return {};
}

Result<void> KvCache::reserve_scratch(KvScratch& scratch, int32_t columns) const {
    int64_t bytes = 0;  // of the widest layer
    for (const KvView& layer : layers_)
        if (layer.kv_class == KvClass::window) bytes = std::max(bytes, layer.position_bytes());
    if (columns <= kRingSlack || bytes == 0) return {};
    // A shared scratch serves a cache of one device, not the other way round.
    const bool serves = scratch.kind == kind_ || scratch.kind == runtime::MemoryKind::shared;
    if (serves && scratch.segment.rows >= columns && scratch.position_bytes >= bytes) return {};
    runtime::KvSegment segment{nullptr, segment_rows(columns)};
    LAP_ASSIGN(segment.buffer, device_->allocate(static_cast<size_t>(segment.rows * bytes), kind_));
    scratch = {std::move(segment), bytes, kind_};
    return {};
}

void KvCache::plan_step(int32_t position, int32_t columns, KvStep& window, KvStep& linear) const {
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

    // Ring slot of position p is p mod ring_rows. A step that fits the slack overwrites only rows that none of its
    // tokens sees, and goes straight there; a longer one stays in the scratch until it has been seen.
    window.span_count = window.store_count = window.commit_count = 0;
    const bool straight = columns <= kRingSlack;
    const auto ring_pieces = [&](int32_t first, int32_t last, const auto& piece) {
        for (int32_t p = first; p < last;) {
            const int32_t slot = p % ring_rows_, count = std::min(last - p, ring_rows_ - slot);
            piece(p, slot, count);
            p += count;
        }
    };
    ring_pieces(std::max(0, position - window_ + 1), straight ? end : position,
                [&](int32_t p, int32_t slot, int32_t count) { push(window, {0, slot, p, count}); });
    if (straight) {
        ring_pieces(position, end, [&](int32_t p, int32_t slot, int32_t count) {
            push_store(window, {0, slot, p, count});
        });
        return;
    }
    push(window, {runtime::kScratchSegment, 0, position, columns});
    push_store(window, {runtime::kScratchSegment, 0, position, columns});
    ring_pieces(std::max(position, end - ring_rows_), end, [&](int32_t p, int32_t slot, int32_t count) {
        window.commits[static_cast<size_t>(window.commit_count++)] = {p - position, slot, count};
    });
}

bool KvCache::can_rewind(int32_t computed, int32_t position) const {
    const bool windowed = position_bytes_[static_cast<size_t>(KvClass::window)] > 0;
    if (!windowed || position == 0 || position == computed) return true;
    // The next token at `position` sees keys from position - window + 1; the ring holds the last ring_rows.
    return std::max(0, position - window_ + 1) >= computed - ring_rows_;
}

KvView KvCache::layer(int32_t index, int32_t columns, const KvScratch& scratch) const {
    KvView view = layers_[static_cast<size_t>(index - first_layer_)];
    if (view.kv_class == KvClass::window && columns > kRingSlack) view.scratch = &scratch.segment;
    return view;
}

uint64_t KvCache::bytes() const {
    int64_t total = 0;
    for (const KvClass c : {KvClass::window, KvClass::linear})
        for (const auto& s : table(c).segments)
            if (s.buffer.use_count() == 1) total += s.rows * position_bytes_[static_cast<size_t>(c)];
    return static_cast<uint64_t>(total);
}

uint64_t KvCache::read_bytes(int32_t position) const {
    int64_t total = 0;
    for (const KvView& l : layers_) {
        const int32_t rows = l.kv_class == KvClass::window ? std::min(position + 1, window_) : position + 1;
        total += rows * l.position_bytes();
    }
    return static_cast<uint64_t>(total);
}

int64_t KvCache::position_bytes_of(const ModelConfig& config, const LayerConfig& layer, KvFormat format) {
    return layer_view(config, layer, format).position_bytes();
}

uint64_t KvCache::bytes_for(const ModelConfig& config, KvFormat format, int32_t context) {
    int64_t total = 0;
    for (const LayerConfig& l : config.layers) {
        const int32_t rows = l.kind == LayerKind::sliding ? ring_rows(config, context) : context;
        total += segment_rows(rows) * position_bytes_of(config, l, format);
    }
    return static_cast<uint64_t>(total);
}

}  // namespace lapidary::model
