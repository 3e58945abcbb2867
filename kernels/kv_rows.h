// How attention kernels find the cache row of a position, cut their work into blocks and lay out their scratch.
// For ref/attention.cpp and simd/attention*.inl. Static functions: see half.h.
#pragma once

#include "kernels/kernels.h"

namespace lapidary::kernels {

inline constexpr int kKvScaleBlock = 32;  // values per f16 scale of a q8_0 row

// Query rows of a tile are padded to whole groups of lanes, the same number for every level.
static inline int64_t attention_lanes(int64_t rows) {
    return rows <= 4 ? 4 : rows <= 8 ? 8 : (rows + 15) / 16 * 16;
}
inline constexpr int64_t kKeyGroup = 24;    // at most so many keys or values share a pass of the registers
// A group is converted and multiplied in pieces of so many units (floats, or pairs of halves), which stay in the first
// cache; the odd 16 spread keys over its sets.
inline constexpr int64_t kKeyPiece = 64, kKeyPieceFloats = kKeyPiece + 16;
inline constexpr int64_t kFewKeys = 16;     // keys that lie across the lanes where a tile has few rows
inline constexpr int64_t kValueChunk = 64;  // rows of converted values at a time
// So many values of each at a time: a multiple of all groups and of a q8_0 block.
inline constexpr int64_t kValuePanel = 96;
// Values of a converted cache row: whole groups and whole vectors. The odd 16 spread rows over cache sets.
static inline int64_t attention_row_floats(int64_t dim) { return (dim + kKeyGroup + 15) / 32 * 32 + 48; }
// An accumulator: [values][lanes], values in whole groups.
static inline int64_t attention_acc_floats(int64_t dim, int64_t rows) {
    return (dim + kKeyGroup) / 4 * 4 * attention_lanes(rows);
}
// A partial: the accumulator of a block, then maximum and sum [lanes].
static inline int64_t attention_partial_floats(int64_t dim, int64_t rows) {
    return (attention_acc_floats(dim, rows) + 2 * attention_lanes(rows) + 15) / 16 * 16;
}

// The scratch of a tile. `q` [values][lanes], `keys` converted cache rows, `values` a panel of them, `few` keys of a tile with
// few rows, `scores` [positions][lanes], `acc` of a block and `merged` of all [values][lanes], `state` six [lanes]; lanes
// in the level's groups.
struct AttentionScratch {
    float *q, *keys, *scores, *values, *few, *acc, *merged, *state;
    int64_t floats;  // of all together
};
static inline AttentionScratch attention_scratch(float* base, int64_t dim, int64_t rows) {
    const int64_t lanes = attention_lanes(rows), acc = attention_acc_floats(dim, rows);
    const int64_t sizes[8] = {dim * lanes,
                              4 * attention_row_floats(dim) + kKeyGroup * kKeyPieceFloats,
                              (kAttentionBlock + kKeyGroup) * lanes,
                              kValueChunk * kValuePanel + dim,
                              kFewKeys * attention_row_floats(dim),
                              acc,
                              acc,
                              6 * lanes};
    AttentionScratch s = {};
    float** const parts[8] = {&s.q, &s.keys, &s.scores, &s.values, &s.few, &s.acc, &s.merged, &s.state};
    for (int i = 0; i < 8; ++i) {
        *parts[i] = base ? base + s.floats : nullptr;
        s.floats += (sizes[i] + 15) / 16 * 16;
    }
    return s;
}

// The visible positions of a tile: of all its tokens together.
struct Positions {
    int32_t begin = 0, end = 0;
};
static inline Positions visible_positions(const AttentionArgs& a) {
    Positions all = {0x7fffffff, 0};
    for (int32_t t = 0; t < a.tokens; ++t) {
        if (a.last[t] <= a.first[t]) continue;
        all.begin = a.first[t] < all.begin ? a.first[t] : all.begin;
        all.end = a.last[t] > all.end ? a.last[t] : all.end;
    }
    return all.end == 0 ? Positions{} : all;
}
// Blocks that a range of positions touches.
static inline int32_t block_count(const Positions& p) {
    return p.end <= p.begin ? 0 : (p.end + kAttentionBlock - 1) / kAttentionBlock - p.begin / kAttentionBlock;
}
static inline Positions block_positions(const Positions& all, int32_t block) {
    const int32_t begin = block * kAttentionBlock, end = begin + kAttentionBlock;
    return {begin > all.begin ? begin : all.begin, end < all.end ? end : all.end};
}

// One cache row.
struct KvRow {
    const uint8_t* values;
    const uint8_t* scales;  // null unless q8_0
};

// Remembers the run of the last position; positions must ascend.
struct KvCursor {
    int run = 0;
};

static inline int64_t kv_value_bytes(KvFormat format) {
    return format == KvFormat::f32 ? 4 : format == KvFormat::f16 ? 2 : 1;
}

static inline const KvRun& run_of(const AttentionArgs& a, KvCursor* cursor, int position) {
    while (position >= a.runs[cursor->run].position + a.runs[cursor->run].count) ++cursor->run;
    return a.runs[cursor->run];
}
static inline const uint8_t* plane_row(const void* plane, int64_t row, int64_t row_bytes) {
    return plane ? static_cast<const uint8_t*>(plane) + row * row_bytes : nullptr;
}
static inline KvRow key_row(const AttentionArgs& a, KvCursor* cursor, int position) {
    const KvRun& run = run_of(a, cursor, position);
    const int64_t row = position - run.position;
    return {plane_row(run.k, row, a.row_bytes.k), plane_row(run.k_scales, row, a.row_bytes.k_scales)};
}
static inline KvRow value_row(const AttentionArgs& a, KvCursor* cursor, int position) {
    const KvRun& run = run_of(a, cursor, position);
    const int64_t row = position - run.position;
    return {plane_row(run.v, row, a.row_bytes.v), plane_row(run.v_scales, row, a.row_bytes.v_scales)};
}

}  // namespace lapidary::kernels
