// Keys and values on the GPU; see kv.h.
#include "runtime/vulkan/kv.h"

#include <algorithm>
#include <cstddef>

namespace lapidary::runtime::vulkan {
namespace {

// common/kv.glsl counts on it.
static_assert(sizeof(KvSpan) == 16 && sizeof(KvCopy) == 12 && kMaxSpans == 80 && sizeof(SegmentEntry) == 16);
static_assert(offsetof(KvStep, span_count) == 1280 && offsetof(KvStep, stores) == 1284 && offsetof(KvStep, store_count) == 2564 &&
              offsetof(KvStep, commits) == 2568 && offsetof(KvStep, commit_count) == 2616 && sizeof(KvStep) == 2620);

// Threads for a head: some values each.
uint32_t threads_for(int64_t dim) { return dim > 256 ? 128 : 64; }

// Angles of the last `rows` columns.
Range angles_of(const StepMemory& memory, const float* of_class, KvClass c, int64_t rows) {
    const int64_t pairs = memory.inputs->pairs(c);
    return memory.of(of_class + (memory.columns - rows) * pairs, static_cast<uint64_t>(rows * pairs) * sizeof(float));
}

Shader store_shader(KvFormat format) {
    return format == KvFormat::f32   ? Shader::norm_rope_store_f32
           : format == KvFormat::f16 ? Shader::norm_rope_store_f16
                                     : Shader::norm_rope_store_q8_0;
}

}  // namespace

Range kv_range(const KvView& kv) {
    const auto begin = static_cast<uint64_t>(kv.layer_bytes);
    return {kv.table, begin, begin + static_cast<uint64_t>(kv.position_bytes()), 0};
}

Range kv_scratch_range(const KvView& kv) {
    return {kv.scratch, 0, static_cast<uint64_t>(kv.position_bytes()), 0};
}

KvLayer kv_layer(const KvView& kv) {
    const auto u32 = [](int64_t bytes) { return static_cast<uint32_t>(bytes); };
    const uint32_t before = u32(kv.layer_bytes);
    return {before, kv.scratch ? 0 : before, u32(kv.kv_heads),
            {u32(kv.row.k), u32(kv.row.v), u32(kv.row.k_scales), u32(kv.row.v_scales)}};
}

Range kv_step_range(const StepMemory& memory, KvClass c) { return memory.of(&memory.inputs->kv(c), sizeof(KvStep)); }

void note_norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles, const StepMemory& memory,
                    std::vector<Dispatch>& out) {
    const int64_t dim = weight.cols;
    struct {
        uint32_t stride, pairs;
        float eps;
    } const scalars{floats_apart(q), static_cast<uint32_t>(memory.inputs->pairs(angles)), eps};
    const StepInputs& in = *memory.inputs;
    out.push_back(make_dispatch({Shader::norm_rope, {threads_for(dim), static_cast<uint32_t>(dim)}},
                                {static_cast<uint32_t>(q.cols / dim), static_cast<uint32_t>(q.rows), 1},
                                {range_of(q), range_of(weight), angles_of(memory, in.cosine(angles), angles, q.rows),
                                 angles_of(memory, in.sine(angles), angles, q.rows)},
                                scalars));
}

void note_norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps, const KvView& kv,
                          const StepMemory& memory, std::vector<Dispatch>& out) {
    const StepInputs& in = *memory.inputs;
    const KvClass c = kv.kv_class;
    struct {
        uint32_t k_stride, v_stride, pairs;
        float eps;
        KvLayer layer;
    } const scalars{floats_apart(k), floats_apart(v), static_cast<uint32_t>(in.pairs(c)), eps, kv_layer(kv)};
    const auto dim = static_cast<uint32_t>(kv.dim), pairs = static_cast<uint32_t>(kv.key_pairs);
    out.push_back(make_dispatch({store_shader(kv.format), {threads_for(dim), dim, pairs}},
                                {static_cast<uint32_t>(kv.kv_heads), static_cast<uint32_t>(k.rows), 2},
                                {range_of(k), range_of(v), range_of(k_weight), angles_of(memory, in.cosine(c), c, k.rows),
                                 angles_of(memory, in.sine(c), c, k.rows), kv_step_range(memory, c),
                                 memory.of(&in.position(), sizeof(int32_t)), memory.table(c),
                                 kv.scratch ? kv_scratch_range(kv) : kv_range(kv)},
                                scalars));
}

void note_commit_kv(const KvView& kv, const StepMemory& memory, std::vector<Dispatch>& out) {
    if (!kv.scratch) return;
    const int64_t rows = std::min<int64_t>(memory.columns, kv.segment(0).rows);
    out.push_back(make_dispatch({Shader::commit_kv, {64}},
                                {static_cast<uint32_t>(rows), static_cast<uint32_t>(kv.kv_heads), 1},
                                {kv_step_range(memory, kv.kv_class), memory.table(kv.kv_class), kv_range(kv), kv_scratch_range(kv)},
                                kv_layer(kv)));
}

}  // namespace lapidary::runtime::vulkan
