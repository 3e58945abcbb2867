// The keys and values of one sequence. Sliding layers keep a ring of the last window + slack rows; full
// layers grow in segments of 4096 positions. A step of up to `slack` columns writes straight into the ring; the rows
// of a longer one lie in a scratch segment that all sliding layers share and enter the ring after attention, so a
// long picture needs no larger ring.
// Full layers whose values are their raw keys store the values and only the rotated part of the keys (key_pairs).
// Layout and reasons: docs/adr on KV storage. One owner, one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "lapidary/result.h"
#include "model/config.h"
#include "runtime/device.h"

namespace lapidary::model {

inline constexpr int32_t kSegmentRows = 4096;
inline constexpr int32_t kCacheRows = 4;  // caches have whole multiples of so many rows
inline constexpr int32_t kMaxContext = kSegmentRows * runtime::kMaxSpans;  // what a step's span list can name
inline constexpr int32_t kRingSlack = 16;  // rows that may be taken back (rejected drafts, cancelled steps)

// Pairs of rotated values that a key row of the layer holds; 0: key rows are complete. Rows are short in full layers
// with keys as values that rotate less than the whole head, where the pieces start at whole units of the format: an
// even value, in q8_0 a block of 32. The 12B: 64 pairs, 128 key values beside 512. docs/adr/0013.
int32_t key_pairs(const ModelConfig& config, const LayerConfig& layer, runtime::KvFormat format);

// Scratch rows for the keys and values of one step of more than kRingSlack columns; one per workspace.
struct KvScratch {
    runtime::KvSegment segment;
    int64_t position_bytes = 0;
    runtime::MemoryKind kind = runtime::MemoryKind::state;
};

// The ring as it was when so many positions were stored.
struct KvCheckpoint {
    runtime::KvSegment ring;
    int32_t stored = 0;
};

class KvCache {
  public:
    // Of the layers [first, last), which one device computes; there may be none. Of the kind `shared`, the CPU device may
    // run steps on it too, between those of `device`; device_unavailable where `device` has no such memory.
    static Result<KvCache> create(runtime::Device& device, const ModelConfig& config, int32_t first, int32_t last,
                                  runtime::KvFormat format, int32_t context,
                                  runtime::MemoryKind kind = runtime::MemoryKind::state);

    // A cache of its own with the rows of positions [0, end): complete segments are shared until one of the two writes
    // to them, the last one and the ring are copied.
    Result<KvCache> fork(int32_t end) const;

    // A copy of the ring, and the way back to it: rows of full layers stay where they are. The device copies.
    Result<KvCheckpoint> checkpoint(int32_t stored) const;
    Result<void> restore(const KvCheckpoint& checkpoint);
    uint64_t checkpoint_bytes() const;

    // Where the rows of layer `index`, one of this cache's, of positions [first, end) lie, in an order that no size of rings and segments changes:
    // plane by plane, head by head, ascending. There must be room for them. `ring`: of a checkpoint, in place of the present one.
    struct Run {
        runtime::Buffer buffer;
        size_t offset = 0, bytes = 0;
    };
    std::vector<Run> runs(int32_t index, int32_t first, int32_t end, const runtime::KvSegment* ring = nullptr) const;
    int32_t kept_rows() const { return ring_rows_; }  // positions that sliding layers remember
    Result<KvCheckpoint> empty_checkpoint(int32_t stored) const;  // for rows that come from elsewhere

    // Rows of all positions [0, end) that are numbers and nothing else, for measurements of speed.
    Result<void> make_up(int32_t end);

    // Makes room for positions [0, end) and the rows from `begin` on free to be written: what a fork shares of them is
    // copied. Other rows stay where they are.
    Result<void> reserve(int32_t begin, int32_t end);
    uint64_t growth(int32_t begin, int32_t end) const;  // bytes that this would take
    Result<void> reserve_scratch(KvScratch& scratch, int32_t columns) const;

    // Spans, stores and commits of a step of `columns` tokens at `position`, for both classes. No columns: the step of
    // another model that reads this cache and stores nothing sees the rows in front of `position`.
    void plan_step(int32_t position, int32_t columns, runtime::KvStep& window, runtime::KvStep& linear) const;

    // Whether the rows below `position` are all still there when `computed` positions were stored.
    bool can_rewind(int32_t computed, int32_t position) const;

    // Layer `index` of the model, one of this cache's, as a step of `columns` tokens (of this plan) sees it; without a
    // scratch where that step writes straight to its place.
    runtime::KvView layer(int32_t index, int32_t columns, const KvScratch& scratch) const;

    uint64_t identity() const { return tables_->of[0].cache; }
    uint64_t bytes() const;                        // allocated, without segments that forks share
    uint64_t read_bytes(int32_t position) const;   // that one decoded token at `position` reads

    // Of one position in one layer.
    static int64_t position_bytes_of(const ModelConfig& config, const LayerConfig& layer, runtime::KvFormat format);
    // That the caches of all layers have together at their longest.
    static uint64_t bytes_for(const ModelConfig& config, runtime::KvFormat format, int32_t context);

  private:
    struct Tables {  // by KvClass; recordings keep their addresses
        runtime::KvTable of[2];
    };
    runtime::KvTable& table(runtime::KvClass c) const { return tables_->of[static_cast<size_t>(c)]; }
    void make_tables();
    Result<void> add_segment(runtime::KvClass c, int32_t rows);
    Result<runtime::KvSegment> copy_of(const runtime::KvSegment& segment) const;

    runtime::Device* device_ = nullptr;
    runtime::MemoryKind kind_ = runtime::MemoryKind::state;  // of segments, and of the scratch
    int32_t context_ = 0, window_ = 0, ring_rows_ = 0, first_layer_ = 0;
    int64_t position_bytes_[2] = {};        // of all layers of a class
    std::vector<runtime::KvView> layers_;   // without key weights
    std::unique_ptr<Tables> tables_;
};

}  // namespace lapidary::model
