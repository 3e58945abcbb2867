// What a planner knows: a model's sizes, a machine's memory and rates, and what is wished for. Plain numbers, so that a
// laptop that is not here can be planned for as well as this one (machines.h).
// Units: bytes; GB/s are 1e9 bytes, GMAC/s 1e9 multiply-adds a second.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/formats.h"

namespace lapidary::runtime {

using kernels::KvFormat;
inline constexpr size_t kKvFormats = 3;  // f32, f16, q8_0
inline constexpr int64_t kFewColumns = 8;  // of a short step: that of a reply, or of a guess of its next tokens

struct LayerFacts {
    uint64_t weight_bytes = 0;  // as they stand in memory
    double macs = 0;            // of a token's products with them
    bool ring = false;          // keeps the rows of its window alone
    std::array<uint64_t, kKvFormats> position_bytes = {};  // keys and values of a position
    double key_macs = 0;        // of attention: a token with one key, all heads
};

struct ModelFacts {
    std::string name, type;
    std::vector<LayerFacts> layers;
    uint64_t embedding_bytes = 0;  // the table, which is the head too
    uint64_t table_bytes = 0;      // of it on a device that looks rows up while another has the head: of a mapped file nearly none
    double head_macs = 0;          // of one row of logits
    uint64_t media_bytes = 0;      // projections of pictures and sound
    int32_t context = 0;           // positions it is made for
    int32_t window = 0, ring_rows = 0;  // keys a ring's layer sees; rows it keeps, some more
    int32_t segment_rows = 1;      // caches have whole multiples of so many rows
    uint64_t column_bytes = 0, step_bytes = 0;  // buffers of a step: per column and beside, on each device that computes
    uint64_t gpu_step_bytes = 0;   // on a GPU more than that: partial results of attention
    bool exact = false;            // products take f32, and rows on the CPU
    uint64_t program_bytes = 0;    // code, tokenizer
    int32_t chunk = 512;           // tokens of a prompt in a step

    int32_t layer_count() const { return static_cast<int32_t>(layers.size()); }
    uint64_t weight_bytes() const;  // of all layers and the embedding
    // Rows that a layer's cache has for a context of so many positions.
    int64_t rows(const LayerFacts& layer, int32_t context) const;
};

// What one device does. Weights stand in its memory; `together`: while the other device works as hard.
struct Rates {
    double read_gbps = 0, read_gbps_together = 0;    // of a step of one token, which reading bounds
    double few_gmacs = 0;                            // products of 2 to 8 columns
    double many_gmacs = 0, many_gmacs_together = 0;  // products of a chunk of a prompt
    double attention_gmacs = 0;                      // of long steps
    double token_f16_gmacs = 0, token_q8_gmacs = 0;  // attention of a single token with all before it, by the cache's format
    bool known() const { return read_gbps > 0 && many_gmacs > 0; }
};

struct PlanGpu {
    std::string name;
    bool unified = true;       // one memory for CPU and GPU: what it takes is taken from the machine
    uint64_t heap_bytes = 0;   // what it may take
    uint64_t driver_bytes = 0; // the driver's own memory and compiled shaders
    Rates rates;
};

struct MachineFacts {
    std::string name;
    uint64_t total_bytes = 0, usable_bytes = 0;  // usable: what this process may take now without swapping
    std::string limited_by;                      // what sets `usable`: "free memory", "the cgroup /x"
    Rates cpu;
    std::optional<PlanGpu> gpu;
    double handover_s = 0;     // of activations from one device to the other, and the wait for them
    double meeting_s = 0;      // of both in the midst of a step, there and back, in memory that both see; 0: as two of these
    std::string rates_from;    // "measured by tune on ...", "assumed", a page
    std::string power;         // the state of power they were measured in; empty: not measured
};

// Ways to lay a model over two devices.
enum class PlacementKind : uint8_t {
    cpu,
    gpu,
    layers,  // the first ones on the CPU, the others and the head on the GPU
    rows,    // of every product a share on the GPU, which does all else
    phases,  // prompts on the GPU, replies on the CPU, over one cache
};
inline constexpr size_t kPlacementKinds = 5;
const char* name(PlacementKind kind);

struct Wishes {
    std::vector<PlacementKind> kinds = {PlacementKind::cpu};  // that are allowed, and can be run
    std::optional<int32_t> gpu_layers = {};  // of PlacementKind::layers; none of them is cpu, all are gpu
    std::optional<double> gpu_share = {};    // of PlacementKind::rows, 0 to 1
    std::optional<double> few_share = {};    // of short steps, beside gpu_share
    int32_t context = 8192;
    std::optional<KvFormat> kv = {};         // empty: f16, and q8_0 where only that fits
    bool kv_fixed = false;                   // another format is no remedy
    int32_t sessions = 1;
    std::optional<uint64_t> memory_bytes = {};  // may be used; empty: the machine's usable memory less a floor
    bool media = true;                       // pictures and sound will come
    bool checkpoints = false;                // a session keeps a copy of its rings, to come back to where a reply began
    int32_t prompt = 512, reply = 128;       // tokens of the request whose time is made short
};

}  // namespace lapidary::runtime
