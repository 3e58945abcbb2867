// Keys and values as a device sees them: segments of rows, and which of them a step stores and reads.
#pragma once

#include <array>
#include <cstdint>
#include <span>

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

// Everything about one step that the KV layers of one class share.
struct KvStep {
    std::array<KvSpan, kMaxSpans> spans;  // visible rows, ascending positions, this step's own included
    int32_t span_count = 0;
    std::array<KvSpan, kMaxSpans> stores; // where this step's rows go; `position` is absolute
    int32_t store_count = 0;
    std::array<KvCopy, 4> commits;
    int32_t commit_count = 0;
};

// The cache of one layer. Segment rows are [kv head][dim] in the cache format; with key_pairs > 0 those of k hold only
// the 2 * key_pairs rotated values of a key, and on the others a key is the value times key_weight (keys as values).
struct KvSegment {
    Buffer k, v, k_scales, v_scales;  // scales only for q8_0
    int64_t rows = 0;
};
struct KvView {
    std::span<const KvSegment* const> segments;
    KvClass kv_class = KvClass::linear;
    KvFormat format = KvFormat::f16;
    int32_t kv_heads = 0, dim = 0;
    int64_t row_bytes = 0, scale_row_bytes = 0;
    int32_t key_pairs = 0;
    int64_t key_row_bytes = 0, key_scale_row_bytes = 0;  // of k where key_pairs > 0
    TensorView key_weight = {};                          // [dim] there

    int64_t key_bytes() const { return key_pairs > 0 ? key_row_bytes : row_bytes; }
    int64_t key_scale_bytes() const { return key_pairs > 0 ? key_scale_row_bytes : scale_row_bytes; }
};

}  // namespace lapidary::runtime
