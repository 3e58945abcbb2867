// The cache and attention of the CPU device.
#include <algorithm>
#include <cstring>

#include "kernels/kv_rows.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "runtime/trace/recorder.h"

namespace lapidary::runtime {
namespace {

// How the rows of attention are cut into tiles: some tokens times some heads of one kv head.
struct Tiling {
    int32_t all_tokens, tokens, heads;
    int64_t head_tiles;

    Tiling(int32_t token_count, int32_t head_count, int32_t kv_heads) : all_tokens(token_count) {
        const int32_t group = head_count / kv_heads;
        heads = std::min(group, kernels::kAttentionRows);
        head_tiles = int64_t{kv_heads} * ((group + heads - 1) / heads);
        tokens = std::min(token_count, std::max(1, kernels::kAttentionRows / heads));
    }
    int64_t count() const { return (all_tokens + tokens - 1) / tokens * head_tiles; }
    int64_t rows() const { return int64_t{tokens} * heads; }
    void cut_tokens() { tokens = (tokens + 1) / 2; }
};

// Moves the values of a head's key that rotation changes together, in place.
void keep_rotated(float* key, const KvView& kv) {
    std::memmove(key + kv.key_pairs, key + kv.dim / 2, static_cast<size_t>(kv.key_pairs) * sizeof(float));
}

}  // namespace

void CpuDevice::norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) {
    const Recorded op(recorder_, "norm_rope", [&] { return move_cost(q, 2); });
    const int64_t dim = weight.cols, heads = q.cols / dim, pairs = inputs_.pairs(angles);
    const float *cosine = inputs_.cosine(angles), *sine = inputs_.sine(angles);
    const int64_t offset = columns_ - q.rows;
    pool_.run(q.rows, [&](int64_t t, int) {
        for (int64_t h = 0; h < heads; ++h) {
            float* x = host_floats(q, t) + h * dim;
            table_.rms_norm(x, host_floats(weight), dim, eps, x);
            table_.rope(x, dim, pairs, cosine + (offset + t) * pairs, sine + (offset + t) * pairs);
        }
    });
}

void CpuDevice::norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                                const KvView& kv) {
    const Recorded op(recorder_, "norm_rope_store", [&] { return store_cost(kv, k.rows); });
    const int64_t pairs = inputs_.pairs(kv.kv_class);
    const float *cosine = inputs_.cosine(kv.kv_class), *sine = inputs_.sine(kv.kv_class);
    const int64_t dim = kv.dim, size = kv.key_pairs > 0 ? 2 * kv.key_pairs : dim;
    const auto store = table_.store_kv[index(kv.format)];
    const KvStep& step = inputs_.kv(kv.kv_class);
    const bool keys_as_values = host_bytes(v) == host_bytes(k);
    pool_.run(k.rows * kv.kv_heads, [&](int64_t item, int) {
        const int64_t t = item / kv.kv_heads, head = item % kv.kv_heads;
        const int32_t position = inputs_.position() + static_cast<int32_t>(t);
        const KvSpan* span = step.stores.data();
        while (position >= span->position + span->count) ++span;
        std::byte* const base = host_bytes(*kv.segment(span->segment).buffer);
        const KvRowBytes at = kv.offsets(span->segment, head, span->first_row + (position - span->position));
        float *key = host_floats(k, t) + head * dim, *value = host_floats(v, t) + head * dim;
        table_.rms_norm(value, nullptr, dim, eps, value);
        store(value, dim, base + at.v, base + at.v_scales);
        if (!keys_as_values)
            table_.rms_norm(key, host_floats(k_weight), dim, eps, key);
        else  // k and v share their rms: the normed key is the value times the key weight
            for (int64_t i = 0; i < dim; ++i) key[i] *= host_floats(k_weight)[i];
        if (kv.key_pairs > 0) keep_rotated(key, kv);
        table_.rope(key, size, pairs, cosine + t * pairs, sine + t * pairs);
        store(key, size, base + at.k, base + at.k_scales);
    });
}

// Where the kernels find the rows that the step sees.
void CpuDevice::find_runs(const KvView& kv) {
    const KvStep& step = inputs_.kv(kv.kv_class);
    const bool scales = kv.format == KvFormat::q8_0;
    runs_.clear();
    for (int64_t h = 0; h < kv.kv_heads; ++h)
        for (int i = 0; i < step.span_count; ++i) {
            const KvSpan& s = step.spans[static_cast<size_t>(i)];
            const std::byte* base = host_bytes(*kv.segment(s.segment).buffer);
            const KvRowBytes at = kv.offsets(s.segment, h, s.first_row);
            runs_.push_back({base + at.k, base + at.v, scales ? base + at.k_scales : nullptr,
                             scales ? base + at.v_scales : nullptr, s.position, s.count});
        }
}

void CpuDevice::attention(const TensorView& q, const KvView& kv, const TensorView& out) {
    const Recorded op(recorder_, "attention", [&] { return attention_cost(inputs_, columns_, q, kv); });
    find_runs(kv);
    const int32_t heads = static_cast<int32_t>(q.cols / kv.dim);
    const int64_t offset = columns_ - q.rows;
    kernels::AttentionArgs call;
    call.stride = q.cols;
    call.dim = kv.dim;
    call.format = kv.format;
    call.key_pairs = kv.key_pairs;
    call.key_weight = kv.key_pairs > 0 ? host_floats(kv.key_weight) : nullptr;
    call.run_count = inputs_.kv(kv.kv_class).span_count;
    call.row_bytes = kv.row;
    const auto tile = [&](const Tiling& tiling, int64_t i) {
        const int64_t t = i / tiling.head_tiles * tiling.tokens, slice = i % tiling.head_tiles;
        const int32_t group = heads / kv.kv_heads, slices = (group + tiling.heads - 1) / tiling.heads;
        const auto kv_head = static_cast<int32_t>(slice / slices), part = static_cast<int32_t>(slice % slices);
        kernels::AttentionArgs a = call;
        a.runs = runs_.data() + int64_t{kv_head} * a.run_count;
        a.q = host_floats(q, t);
        a.out = host_floats(out, t);
        a.tokens = static_cast<int32_t>(std::min<int64_t>(tiling.tokens, q.rows - t));
        a.first = inputs_.first(kv.kv_class) + offset + t;
        a.last = inputs_.last(kv.kv_class) + offset + t;
        a.head_begin = kv_head * group + part * tiling.heads;
        a.head_end = std::min((kv_head + 1) * group, a.head_begin + tiling.heads);
        return a;
    };
    Tiling tiling(static_cast<int32_t>(q.rows), heads, kv.kv_heads);
    const int64_t enough = pool_.team() == 1 ? 1 : 2 * pool_.team();  // items, for an even load
    if (tiling.count() < enough) {
        std::vector<kernels::AttentionArgs> tiles;
        for (int64_t i = 0; i < tiling.count(); ++i) tiles.push_back(tile(tiling, i));
        if (split_attention(tiles)) return;
    }
    while (tiling.count() < enough && tiling.tokens > 1) tiling.cut_tokens();
    pool_.run(tiling.count(), [&](int64_t item, int thread) {
        // The last tokens see most: they go first, so that no thread ends on a long item.
        kernels::AttentionArgs a = tile(tiling, tiling.count() - 1 - item);
        a.scratch = reinterpret_cast<float*>(scratch(thread));
        table_.attention(a);
    });
}

// Few tiles: their blocks of positions are cut into runs of neighbours, four for each thread, then the blocks of a tile
// are merged in order. The order of operations of a row is that of the whole tile, so the bits are too.
bool CpuDevice::split_attention(const std::vector<kernels::AttentionArgs>& tiles) {
    std::vector<int64_t> first_block = {0};  // of each tile, counted over all
    int64_t rows = 0;
    for (const kernels::AttentionArgs& a : tiles) {
        rows = std::max<int64_t>(rows, int64_t{a.tokens} * (a.head_end - a.head_begin));
        first_block.push_back(first_block.back() + kernels::block_count(kernels::visible_positions(a)));
    }
    const int64_t dim = tiles[0].dim, blocks = first_block.back();
    const int64_t partial_bytes = kernels::attention_partial_bytes(dim, rows);
    if (blocks <= static_cast<int64_t>(tiles.size()) || blocks * partial_bytes > CpuScratch::kPartialBytes) return false;
    const auto partial = [&](int64_t block) {
        return reinterpret_cast<float*>(host_bytes(*scratch_.partials) + block * partial_bytes);
    };
    const int64_t run = std::max<int64_t>(1, blocks / (4 * pool_.team()));
    std::vector<kernels::AttentionArgs> items;
    for (size_t i = 0; i < tiles.size(); ++i) {
        kernels::AttentionArgs a = tiles[i];
        a.block = kernels::visible_positions(a).begin / kernels::kAttentionBlock;
        a.partial_floats = partial_bytes / static_cast<int64_t>(sizeof(float));
        for (int64_t b = first_block[i]; b < first_block[i + 1]; b += a.blocks, a.block += a.blocks) {
            a.blocks = static_cast<int32_t>(std::min(run, first_block[i + 1] - b));
            a.partial = partial(b);
            items.push_back(a);
        }
    }
    pool_.run(static_cast<int64_t>(items.size()), [&](int64_t item, int thread) {
        kernels::AttentionArgs a = items[static_cast<size_t>(item)];
        a.scratch = reinterpret_cast<float*>(scratch(thread));
        table_.attention(a);
    });
    constexpr int32_t kSlice = 64;  // values of every head that one item merges
    const int64_t slices = (dim + kSlice - 1) / kSlice;
    pool_.run(static_cast<int64_t>(tiles.size()) * slices, [&](int64_t item, int thread) {
        const auto i = static_cast<size_t>(item / slices);
        const kernels::AttentionArgs& a = tiles[i];
        kernels::AttentionMergeArgs m;
        m.partials = partial(first_block[i]);
        m.partial_floats = partial_bytes / static_cast<int64_t>(sizeof(float));
        m.count = static_cast<int32_t>(first_block[i + 1] - first_block[i]);
        m.out = a.out;
        m.stride = a.stride;
        m.tokens = a.tokens;
        m.dim = a.dim;
        m.head_begin = a.head_begin;
        m.head_end = a.head_end;
        m.dim_begin = static_cast<int32_t>(item % slices) * kSlice;
        m.dim_end = std::min(m.dim_begin + kSlice, a.dim);
        m.scratch = reinterpret_cast<float*>(scratch(thread));
        table_.attention_merge(m);
    });
    return true;
}

void CpuDevice::commit_kv(const KvView& kv) {
    const Recorded op(recorder_, "commit_kv", [&] { return commit_cost(inputs_, kv); });
    const KvStep& step = inputs_.kv(kv.kv_class);
    if (step.commit_count == 0) return;
    constexpr int32_t kRowsPerItem = 32;
    std::byte *ring = host_bytes(*kv.segment(0).buffer), *chunk = host_bytes(*kv.segment(kScratchSegment).buffer);
    for (int i = 0; i < step.commit_count; ++i) {
        const KvCopy& c = step.commits[static_cast<size_t>(i)];
        const int64_t pieces = (c.count + kRowsPerItem - 1) / kRowsPerItem;
        pool_.run(pieces * kv.kv_heads, [&](int64_t item, int) {
            const int64_t head = item / pieces, row = item % pieces * kRowsPerItem;
            const int64_t rows = std::min<int64_t>(kRowsPerItem, c.count - row);
            const KvRowBytes to = kv.offsets(0, head, c.to_row + row);
            const KvRowBytes from = kv.offsets(kScratchSegment, head, c.from_row + row);
            for (const auto plane : {&KvRowBytes::k, &KvRowBytes::v, &KvRowBytes::k_scales, &KvRowBytes::v_scales})
                std::memcpy(ring + to.*plane, chunk + from.*plane, static_cast<size_t>(rows * (kv.row.*plane)));
        });
    }
}

}  // namespace lapidary::runtime
