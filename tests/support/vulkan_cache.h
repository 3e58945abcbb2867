// One layer's cache as the GPU and the reference kernels see it at once, and a step on it: memory that both reach, rows of
// NaN wherever no span lies, another layer in front.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kernels/select.h"
#include "runtime/vulkan/attention.h"
#include "tests/support/vulkan_rig.h"

namespace lapidary::test {

struct CacheShape {
    runtime::KvFormat format = runtime::KvFormat::f16;
    runtime::KvClass kv_class = runtime::KvClass::linear;
    int32_t heads = 2, kv_heads = 1, dim = 64, key_pairs = 0;
    int32_t position = 0, columns = 1, asked = 0;  // of them the last that ask; 0: all
    int32_t segment_rows = 300;                    // of the ring, or of each segment
    int32_t window = 1 << 30;
    bool scratch = false;
    int32_t pairs = 0;  // rotated; 0: half of the head
    int32_t tile = 2;
};

inline const kernels::KernelTable& reference_kernels() { return *kernels::levels().front().table; }

class GpuCache {
  public:
    explicit GpuCache(const CacheShape& s) : shape(s), random(7) {
        make_view();
        shape.asked = s.asked > 0 ? s.asked : s.columns;
        step.columns = s.columns;
        step.leaving = shape.asked;
        step.widest = s.heads * s.dim;
        step.head_dim = s.dim;
        step.pairs = {pairs(), pairs()};
        block = VulkanRig::get().poisoned(runtime::StepInputs::bytes(step));
        inputs = runtime::StepInputs(block->mapped(), step);
        tables = VulkanRig::get().poisoned(2 * sizeof(vulkan::SegmentEntry) * runtime::kMaxSpans);
        partials = VulkanRig::get().poisoned(std::max<uint64_t>(64, vulkan::attention_scratch_bytes(step)));
        plan(s.position);
    }
    GpuCache(const GpuCache&) = delete;
    GpuCache& operator=(const GpuCache&) = delete;

    // The step from `position` on, and the segments that it needs: what a replay finds in its inputs.
    void plan(int32_t position) {
        inputs.position() = position;
        runtime::KvStep& kv_step = inputs.kv(shape.kv_class);
        kv_step.span_count = kv_step.store_count = kv_step.commit_count = 0;
        shape.kv_class == runtime::KvClass::linear ? plan_linear(position, kv_step) : plan_window(position, kv_step);
        for (int32_t t = 0; t < shape.columns; ++t) {
            const int32_t last = position + t + 1;
            inputs.last(shape.kv_class)[t] = last;
            inputs.first(shape.kv_class)[t] = std::max(0, last - shape.window);
        }
        std::uniform_real_distribution<float> angle(0, 6);
        for (int32_t i = 0; i < shape.columns * pairs(); ++i) {
            const float a = angle(random);
            inputs.cosine(shape.kv_class)[i] = std::cos(a);
            inputs.sine(shape.kv_class)[i] = std::sin(a);
        }
        write_tables();
    }

    // Random rows in [-1, 1] at all positions of the spans.
    void fill() {
        std::uniform_real_distribution<float> value(-1, 1);
        std::vector<float> row(static_cast<size_t>(shape.dim));
        const auto store = reference_kernels().store_kv[static_cast<size_t>(shape.format)];
        const runtime::KvStep& kv_step = inputs.kv(shape.kv_class);
        for (int32_t s = 0; s < kv_step.span_count; ++s)
            for (int32_t i = 0; i < kv_step.spans[s].count; ++i)
                for (int32_t head = 0; head < shape.kv_heads; ++head) {
                    const auto at = view.offsets(kv_step.spans[s].segment, head, kv_step.spans[s].first_row + i);
                    std::byte* base = bytes(kv_step.spans[s].segment);
                    for (float& x : row) x = value(random);
                    store(row.data(), key_values(), base + at.k, base + at.k_scales);
                    for (float& x : row) x = value(random);
                    store(row.data(), shape.dim, base + at.v, base + at.v_scales);
                }
    }

    std::byte* bytes(int32_t segment) const { return vulkan::vulkan_buffer(*view.segment(segment).buffer).mapped(); }
    int32_t key_values() const { return shape.key_pairs > 0 ? 2 * shape.key_pairs : shape.dim; }
    int32_t pairs() const { return shape.pairs > 0 ? shape.pairs : shape.key_pairs > 0 ? shape.key_pairs : shape.dim / 2; }

    vulkan::StepMemory memory() const {
        const uint64_t table_bytes = tables->bytes / 2;
        return {&inputs, shape.columns, vulkan::range_of(*block, 0, block->bytes),
                {vulkan::range_of(*tables, 0, table_bytes), vulkan::range_of(*tables, table_bytes, table_bytes)},
                vulkan::range_of(*partials, 0, partials->bytes), shape.tile};
    }

    // The reference's result for q [asked][heads * dim].
    std::vector<float> expected(const std::vector<float>& q) const {
        std::vector<float> out(q.size()), weight;
        const int64_t rows = shape.heads / shape.kv_heads * int64_t{shape.asked};
        std::vector<float> floats(static_cast<size_t>(kernels::attention_scratch_bytes(shape.dim, rows) / 4 + 16));
        for (int32_t g = 0; g < shape.kv_heads; ++g)
            for (int32_t t = 0; t < shape.asked; ++t) {
                const auto runs = runs_of(g);
                kernels::AttentionArgs a;
                a.stride = int64_t{shape.heads} * shape.dim;
                a.q = q.data() + t * a.stride;
                a.out = out.data() + t * a.stride;
                a.tokens = 1;
                a.dim = shape.dim;
                a.format = shape.format;
                a.key_pairs = shape.key_pairs;
                a.key_weight = key_weight.data();
                a.runs = runs.data();
                a.run_count = static_cast<int32_t>(runs.size());
                a.row_bytes = view.row;
                a.first = inputs.first(shape.kv_class) + shape.columns - shape.asked + t;
                a.last = inputs.last(shape.kv_class) + shape.columns - shape.asked + t;
                a.head_begin = g * (shape.heads / shape.kv_heads);
                a.head_end = a.head_begin + shape.heads / shape.kv_heads;
                a.scratch = floats.data();
                reference_kernels().attention(a);
            }
        return out;
    }

    CacheShape shape;
    std::mt19937 random;
    runtime::StepShape step;
    runtime::KvView view;
    runtime::KvTable table;
    runtime::KvSegment scratch;
    runtime::StepInputs inputs;  // in `block`
    std::vector<float> key_weight;
    std::shared_ptr<vulkan::VulkanBuffer> block, tables, partials, key_weight_buffer;

  private:
    void make_view() {
        const auto padded = [](int64_t n) { return (n + 15) / 16 * 16; };
        const int64_t width = shape.format == runtime::KvFormat::f32 ? 4 : shape.format == runtime::KvFormat::f16 ? 2 : 1;
        const auto scales = [&](int64_t n) { return shape.format == runtime::KvFormat::q8_0 ? padded(n / 32 * 2) : 0; };
        view.table = &table;
        view.kv_class = shape.kv_class;
        view.format = shape.format;
        view.kv_heads = shape.kv_heads;
        view.dim = shape.dim;
        view.key_pairs = shape.key_pairs;
        view.row = {padded(key_values() * width), padded(shape.dim * width), scales(key_values()), scales(shape.dim)};
        view.layer_bytes = 48;
        std::uniform_real_distribution<float> value(0.5f, 1.5f);
        key_weight.resize(static_cast<size_t>(shape.dim));
        for (float& w : key_weight) w = value(random);
        key_weight_buffer = VulkanRig::get().upload(key_weight);
        view.key_weight = runtime::view(key_weight_buffer, runtime::Format::f32, 1, shape.dim);
        if (!shape.scratch) return;
        scratch = segment_of(shape.columns, 0);
        view.scratch = &scratch;
    }
    runtime::KvSegment segment_of(int64_t rows, int64_t before) const {
        rows = (rows + 3) / 4 * 4;
        return {VulkanRig::get().poisoned(static_cast<size_t>(rows * (before + view.position_bytes()))), rows};
    }

    void plan_linear(int32_t position, runtime::KvStep& s) {
        const int32_t end = position + shape.columns, rows = shape.segment_rows;
        for (int32_t i = 0; i * rows < end; ++i) {
            const int32_t first = i * rows, last = std::min(end, first + rows), from = std::max(first, position);
            if (static_cast<size_t>(i) == table.segments.size()) table.segments.push_back(segment_of(rows, view.layer_bytes));
            s.spans[s.span_count++] = {i, 0, first, last - first};
            if (last > position) s.stores[s.store_count++] = {i, from - first, from, last - from};
        }
    }
    template <class Piece>
    void ring_pieces(int32_t first, int32_t last, const Piece& piece) const {
        while (first < last) {
            const int32_t slot = first % shape.segment_rows, count = std::min(last - first, shape.segment_rows - slot);
            piece(first, slot, count);
            first += count;
        }
    }
    void plan_window(int32_t position, runtime::KvStep& s) {
        const int32_t end = position + shape.columns, oldest = std::max(0, position - shape.window + 1);
        if (table.segments.empty()) table.segments.push_back(segment_of(shape.segment_rows, view.layer_bytes));
        ring_pieces(oldest, shape.scratch ? position : end,
                    [&](int32_t p, int32_t slot, int32_t count) { s.spans[s.span_count++] = {0, slot, p, count}; });
        if (!shape.scratch) {
            ring_pieces(position, end,
                        [&](int32_t p, int32_t slot, int32_t count) { s.stores[s.store_count++] = {0, slot, p, count}; });
            return;
        }
        s.spans[s.span_count++] = s.stores[s.store_count++] = {runtime::kScratchSegment, 0, position, shape.columns};
        ring_pieces(std::max(position, end - shape.segment_rows), end, [&](int32_t p, int32_t slot, int32_t count) {
            s.commits[s.commit_count++] = {p - position, slot, count};
        });
    }
    void write_tables() {
        std::vector<vulkan::SegmentEntry> entries(runtime::kMaxSpans);
        const auto entry = [](const runtime::KvSegment& s) {
            return vulkan::SegmentEntry{vulkan::vulkan_buffer(*s.buffer).address(), static_cast<uint32_t>(s.rows), 0};
        };
        for (size_t i = 0; i < table.segments.size(); ++i) entries[i] = entry(table.segments[i]);
        if (view.scratch) entries[runtime::kScratchSegment] = entry(scratch);
        std::memcpy(tables->mapped() + static_cast<size_t>(shape.kv_class) * tables->bytes / 2, entries.data(), tables->bytes / 2);
    }
    std::vector<kernels::KvRun> runs_of(int32_t head) const {
        std::vector<kernels::KvRun> runs;
        const runtime::KvStep& s = inputs.kv(shape.kv_class);
        const bool scaled = shape.format == runtime::KvFormat::q8_0;
        for (int32_t i = 0; i < s.span_count; ++i) {
            const auto at = view.offsets(s.spans[i].segment, head, s.spans[i].first_row);
            const std::byte* base = bytes(s.spans[i].segment);
            runs.push_back({base + at.k, base + at.v, scaled ? base + at.k_scales : nullptr,
                            scaled ? base + at.v_scales : nullptr, s.spans[i].position, s.spans[i].count});
        }
        return runs;
    }
};

}  // namespace lapidary::test
