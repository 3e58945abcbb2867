// The buffers that one step computes in, on one device. Owned by the engine; sessions take turns.
#pragma once

#include "lapidary/result.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "runtime/device.h"

namespace lapidary::model {

inline constexpr int32_t kLogitsRows = 8;        // head rows computed at a time: 8 MB at 262,144 pieces
inline constexpr int32_t kMaxCandidates = 1024;  // of a row that top_k may be asked for
inline constexpr int32_t kMediaRows = 256;       // rows of a picture or recording at a time

struct Workspace {
    uint64_t identity = 0;                  // of these buffers: another one whenever they are replaced
    int32_t columns = 0;                    // capacity T
    runtime::Buffer x, normed, branch;      // [T, D] residual, input of a branch, output of a branch
    runtime::Buffer q, k, v, heads;         // [T, H*K], [T, G*K] x 2, [T, H*K]
    runtime::Buffer gate, up;               // [T, F]
    runtime::Buffer logits, candidates;     // [kLogitsRows, V], [kLogitsRows, 2 kMaxCandidates]
    KvScratch kv;

    // Pictures and sound, kMediaRows rows each: of the projection's input, of the picture's width, two rows of the
    // position tables, and of width D.
    struct Media {
        uint64_t identity = 0;
        int64_t input_width = 0;
        runtime::Buffer input, embedded, across, down, out;
    } media;

    // What the buffers take: of each column of a step, of rows of logits and candidates, of pictures and sound.
    static uint64_t column_bytes(const ModelConfig& config);
    static uint64_t row_bytes(const ModelConfig& config);
    static uint64_t media_bytes(const ModelConfig& config);

    Result<void> reserve(runtime::Device& device, const ModelConfig& config, int32_t columns);
    uint64_t growth(const ModelConfig& config, int32_t columns) const;  // bytes that this would take
    Result<void> reserve_media(runtime::Device& device, const ModelConfig& config);

  private:
    struct Widths {  // the widest of all layers' queries, and keys or values
        explicit Widths(const ModelConfig& config);
        int64_t q = 0, kv = 0;
    };
    struct MediaWidths {  // of a picture's or a recording's row, and of the picture's embedding; 0: none
        explicit MediaWidths(const ModelConfig& config);
        int64_t input = 0, embedded = 0;
    };
};

// The longest row that a product of the layers reads, and the largest head.
int64_t widest_input(const ModelConfig& config);
int32_t largest_head(const ModelConfig& config);

}  // namespace lapidary::model
