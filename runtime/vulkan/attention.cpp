// Attention on the GPU; see attention.h, shaders/attention.comp and shaders/common/runs.glsl.
#include "runtime/vulkan/attention.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "kernels/kernels.h"
#include "kernels/panels.h"
#include "runtime/vulkan/kv.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr uint32_t kThreads = 256;  // of attention.comp: its order of sums counts on it

enum Split : uint32_t { kNone = 0, kByRuns = 1, kByBlocks = 2 };  // kSplit of the shaders

struct Slots {
    Split split = kNone;
    uint32_t count = 1;
};

// A window's blocks take turns in a few slots: as many as the rows in the ring and the step's own can touch.
Slots slots_for(const KvView& kv, const StepMemory& memory, int64_t rows) {
    if (rows > kSplitRows) return {};
    if (kv.kv_class == KvClass::window) {
        const int64_t count = (kv.segment(0).rows + memory.columns) / kernels::kAttentionBlock + 2;
        if (count < kAttentionRuns) return {kByBlocks, static_cast<uint32_t>(count)};
    }
    return {kByRuns, kAttentionRuns};
}

// Query rows of a workgroup: as many as are there, as the memory that it shares allows.
uint32_t tile_for(const StepMemory& memory, uint32_t rows, uint32_t dim) {
    constexpr uint32_t kSharedBytes = 32768, kBlock = 256, kParts = 192, kRest = 256;
    uint32_t tile = std::min(static_cast<uint32_t>(memory.attention_tile), std::bit_ceil(rows));
    while (tile > 1 && tile * (dim + 32 + kBlock + kParts) * sizeof(float) + kRest > kSharedBytes) tile /= 2;
    return tile;
}

Range visible(const StepMemory& memory, const int32_t* of_class, int64_t rows) {
    return memory.of(of_class + (memory.columns - rows), static_cast<uint64_t>(rows) * sizeof(int32_t));
}

Shader shader_for(KvFormat format) {
    return format == KvFormat::f32   ? Shader::attention_f32
           : format == KvFormat::f16 ? Shader::attention_f16
                                     : Shader::attention_q8_0;
}

// Of a dispatch without slots: at position 262,144 the 12B's full layers multiply 4.3 G a token.
constexpr int64_t kTokensTogether = 64;

// Of the range of an int32 for each token, those from `token` on.
Range behind(Range tokens, int64_t token) {
    const auto bytes = static_cast<uint64_t>(token) * sizeof(int32_t);
    tokens.begin += bytes;
    tokens.address += bytes;
    return tokens;
}

Dispatch merge(const TensorView& to, uint32_t heads, uint32_t dim, Slots slots, const Range& partials, const Range& first,
               const Range& last, const Range& image) {
    struct {
        uint32_t heads, to_stride, slots;
    } const scalars{heads, floats_apart(to), slots.count};
    return make_dispatch({Shader::attention_merge, {dim > 128 ? 256u : 64u, dim, image.owner ? 1u : 0u, 0, slots.split}},
                         {static_cast<uint32_t>(to.rows) * heads, 1, 1}, {partials, first, last, range_of(to), image}, scalars);
}

}  // namespace

bool note_attention(const TensorView& q, const KvView& kv, const TensorView& to, const StepMemory& memory,
                    std::vector<Dispatch>& out, const Range& image) {
    const auto dim = static_cast<uint32_t>(kv.dim), kv_heads = static_cast<uint32_t>(kv.kv_heads);
    const uint32_t heads = static_cast<uint32_t>(q.cols) / dim, group = heads / kv_heads;
    const uint32_t rows = static_cast<uint32_t>(q.rows) * group;  // of a kv head
    const uint32_t tile = tile_for(memory, rows, dim);
    const Slots slots = slots_for(kv, memory, q.rows);
    const KvClass c = kv.kv_class;
    const Range first = visible(memory, memory.inputs->first(c), q.rows), last = visible(memory, memory.inputs->last(c), q.rows);
    Range partials = memory.partials;
    partials.end = partials.begin + partial_floats(uint64_t{rows} * kv_heads, slots.count, dim) * sizeof(float);
    assert(slots.split == kNone || partials.end <= memory.partials.end);
    // Without slots a workgroup goes through all positions: a dispatch takes so few tokens that even far down a context it
    // ends before a watchdog barks.
    const int64_t together = slots.split == kNone ? kTokensTogether : q.rows;
    for (int64_t begin = 0; begin < q.rows; begin += together) {
        const int64_t end = std::min(q.rows, begin + together);
        const TensorView some = q.row_range(begin, end);
        const uint32_t lines = static_cast<uint32_t>(some.rows) * group;
        struct {
            uint32_t q_stride, to_stride, rows, group, slots;
            KvLayer layer;
        } const scalars{floats_apart(q), floats_apart(to), lines, group, slots.count, kv_layer(kv)};
        out.push_back(make_dispatch(
            {shader_for(kv.format), {kThreads, dim, tile, static_cast<uint32_t>(kv.key_pairs), slots.split}},
            {(lines + tile - 1) / tile, kv_heads, slots.count},
            {range_of(some), slots.split == kNone ? range_of(to.row_range(begin, end)) : partials, kv_step_range(memory, c),
             behind(first, begin), behind(last, begin), memory.table(c), kv_range(kv), kv_scratch_range(kv),
             kv.key_pairs > 0 ? range_of(kv.key_weight) : Range{}},
            scalars));
    }
    if (slots.split == kNone) return false;
    const bool with_image = image.owner && dim % kernels::kActivationGroup == 0;
    out.push_back(merge(to, heads, dim, slots, partials, first, last, with_image ? image : Range{}));
    return with_image;
}

}  // namespace lapidary::runtime::vulkan
