// How attention kernels find the cache row of a position, cut their work into blocks and size their scratch.
// For ref/attention.cpp and simd/attention.inl. Static functions: see half.h.
#pragma once

#include "kernels/kernels.h"

namespace lapidary::kernels {

inline constexpr int kAttentionBlock = 256;  // absolute positions per softmax block: part of the contract
inline constexpr int kKvScaleBlock = 32;     // values per f16 scale of a q8_0 row

// The first position after `begin` that starts a new block, or `last`.
static inline int attention_block_end(int begin, int last) {
    const int end = begin / kAttentionBlock * kAttentionBlock + kAttentionBlock;
    return end < last ? end : last;
}

// Per head: 256 scores and one accumulator; plus rows expanded to f32. Padded to whole vectors of 16.
static inline int64_t attention_padded_dim(int64_t dim) { return (dim + 15) / 16 * 16; }
inline constexpr int kExpandedRows = 4;
static inline int64_t attention_scratch_floats(int64_t dim, int64_t heads) {
    return heads * (kAttentionBlock + 2 * attention_padded_dim(dim) + 16) +
           kExpandedRows * attention_padded_dim(dim);
}

// The part of one cache row that belongs to one kv head.
struct KvRow {
    const uint8_t* values;
    const uint8_t* scales;  // null unless q8_0
};

// Remembers the run of the last position; positions must ascend.
struct KvCursor {
    int run = 0;
};

static inline KvRow kv_row(const AttentionArgs& a, KvCursor* cursor, int position, int kv_head, bool key) {
    while (position >= a.runs[cursor->run].position + a.runs[cursor->run].count) ++cursor->run;
    const KvRun& run = a.runs[cursor->run];
    const int64_t row = position - run.position;
    const int64_t value_bytes = a.format == KvFormat::f32 ? 4 : a.format == KvFormat::f16 ? 2 : 1;
    KvRow found = {static_cast<const uint8_t*>(key ? run.k : run.v), nullptr};
    found.values += row * run.row_bytes + int64_t{kv_head} * a.dim * value_bytes;
    if (a.format == KvFormat::q8_0) {
        found.scales = static_cast<const uint8_t*>(key ? run.k_scales : run.v_scales);
        found.scales += row * run.scale_row_bytes + int64_t{kv_head} * a.dim / kKvScaleBlock * 2;
    }
    return found;
}
static inline KvRow key_row(const AttentionArgs& a, KvCursor* cursor, int position, int kv_head) {
    return kv_row(a, cursor, position, kv_head, true);
}
static inline KvRow value_row(const AttentionArgs& a, KvCursor* cursor, int position, int kv_head) {
    return kv_row(a, cursor, position, kv_head, false);
}

}  // namespace lapidary::kernels
