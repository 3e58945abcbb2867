// Keys and values as a device sees them: segments of rows, and which of them a step stores and reads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/tensor.h"

namespace lapidary::runtime {

// The two kinds of KV storage: a ring of the last rows (windowed layers) or segments that grow.
enum class KvClass : uint8_t { window, linear };

// `count` rows of segment `segment`, from `first_row`, holding positions from `position` on.
struct KvSpan {
    int32_t segment = 0, first_row = 0, position = 0, count = 0;
};
struct KvCopy {  // rows of the scratch segment that enter the ring after attention
    int32_t from_row = 0, to_row = 0, count = 0;
};

inline constexpr int kMaxSpans = 80;  // 262,144 positions in segments of 4096, and the ring's three
inline constexpr int32_t kScratchSegment = 1;  // of a window's spans; 0 is the ring

// Everything about one step that the KV layers of one class share.
struct KvStep {
    std::array<KvSpan, kMaxSpans> spans;  // visible rows, ascending positions, this step's own included
    int32_t span_count = 0;
    std::array<KvSpan, kMaxSpans> stores; // where this step's rows go; `position` is absolute
    int32_t store_count = 0;
    std::array<KvCopy, 4> commits;
    int32_t commit_count = 0;
};

using kernels::KvRowBytes;

// One buffer for all layers of a class: [layer][plane: k, v, k_scales, v_scales][kv head][rows][bytes of a row]. Every
// offset in it is a multiple of `rows`, so that a layer's views need not know how long a segment is.
struct KvSegment {
    Buffer buffer;
    int64_t rows = 0;
};

// The segments of one class of a cache, as a recording finds them: it keeps the address of the table and looks the
// segments up whenever it runs, so that a cache may grow between two runs.
struct KvTable {
    uint64_t cache = 0;  // no two caches of a process have the same
    std::vector<KvSegment> segments;
};

// The rows of one layer: [dim] in the cache format; with key_pairs > 0 those of k hold only the 2 * key_pairs rotated
// values of a key, and on the others a key is the value times key_weight (keys as values).
struct KvView {
    const KvTable* table = nullptr;
    const KvSegment* scratch = nullptr;  // where a step keeps its own rows that enter the ring later: one layer's planes
    KvClass kv_class = KvClass::linear;
    KvFormat format = KvFormat::f16;
    int32_t kv_heads = 0, dim = 0, key_pairs = 0;
    KvRowBytes row;
    int64_t layer_bytes = 0;     // of a position in the layers in front of this one
    TensorView key_weight = {};  // [dim] where key_pairs > 0

    bool in_scratch(int32_t segment) const { return scratch && segment == kScratchSegment; }
    const KvSegment& segment(int32_t i) const { return in_scratch(i) ? *scratch : table->segments[static_cast<size_t>(i)]; }
    int64_t position_bytes() const { return kv_heads * (row.k + row.v + row.k_scales + row.v_scales); }

    // Offsets in the buffer of segment `i` of one head's row in each plane.
    KvRowBytes offsets(int32_t i, int64_t head, int64_t at) const {
        const int64_t rows = segment(i).rows, heads = kv_heads;
        const int64_t first = in_scratch(i) ? 0 : layer_bytes * rows, line = head * rows + at;
        return {first + line * row.k, first + heads * rows * row.k + line * row.v,
                first + heads * rows * (row.k + row.v) + line * row.k_scales,
                first + heads * rows * (row.k + row.v + row.k_scales) + line * row.v_scales};
    }
};

}  // namespace lapidary::runtime
