// Sizes and multiply-adds, by the functions that allocate where there is one; see plan_facts.h.
#include "model/plan_facts.h"

#include <algorithm>

#include "kernels/kernels.h"
#include "model/kv_cache.h"
#include "model/workspace.h"
#include "runtime/vulkan/attention_scratch.h"

namespace lapidary::model {
namespace {

using runtime::KvFormat;
using runtime::LayerFacts;

uint64_t bytes_of(const TensorView& t) { return t ? static_cast<uint64_t>(t.bytes()) : 0; }
double macs_of(const TensorView& t) { return t ? static_cast<double>(t.rows) * static_cast<double>(t.cols) : 0; }

LayerFacts layer_facts(const ModelConfig& config, const LayerConfig& layer, const LayerWeights& w) {
    LayerFacts out;
    for (const TensorView* m : {&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down}) {
        out.weight_bytes += bytes_of(*m);
        out.macs += macs_of(*m);
    }
    for (const TensorView* v : {&w.attn_norm, &w.post_attn_norm, &w.ffn_norm, &w.post_ffn_norm, &w.q_norm, &w.k_norm})
        out.weight_bytes += bytes_of(*v);
    out.ring = layer.kind == LayerKind::sliding;
    for (const KvFormat f : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0})
        out.position_bytes[static_cast<size_t>(f)] = static_cast<uint64_t>(KvCache::position_bytes_of(config, layer, f));
    out.key_macs = 2.0 * config.heads * layer.head_dim;
    return out;
}

uint64_t media_bytes(const Weights& w) {
    const VisionWeights& v = w.vision;
    uint64_t bytes = bytes_of(w.audio.projection);
    for (const TensorView* t : {&v.ln1_w, &v.ln1_b, &v.dense, &v.dense_b, &v.ln2_w, &v.ln2_b, &v.pos_x, &v.pos_y, &v.pos_norm_w,
                                &v.pos_norm_b, &v.projection})
        bytes += bytes_of(*t);
    return bytes;
}

}  // namespace

runtime::ModelFacts plan_facts(const ModelConfig& config, const Weights& weights, const StepFacts& step) {
    constexpr uint64_t kProgram = uint64_t{24} << 20, kPiece = 96;  // estimated: the program with its libraries, and a piece of its tokenizer
    constexpr uint64_t kInputs = 2;  // bytes of a value's int8 image with sums and scales, or of its bf16
    runtime::ModelFacts facts;
    facts.name = config.name;
    facts.exact = step.precise;
    uint64_t scratch = 0;  // of a column in a ring's scratch
    const KvFormat widest_format = step.precise ? KvFormat::f32 : KvFormat::f16;
    for (size_t i = 0; i < config.layers.size(); ++i) {
        facts.layers.push_back(layer_facts(config, config.layers[i], weights.layers[i]));
        const LayerFacts& l = facts.layers.back();
        if (l.ring) scratch = std::max(scratch, l.position_bytes[static_cast<size_t>(widest_format)]);
    }
    facts.embedding_bytes = bytes_of(weights.embed) + bytes_of(weights.final_norm);
    facts.head_macs = macs_of(weights.embed);
    if (weights.embed && !weights.embed.buffer->refills()) facts.table_bytes = bytes_of(weights.embed);
    facts.media_bytes = media_bytes(weights);
    facts.context = config.context;
    facts.window = config.window;
    facts.ring_rows = config.window + kRingSlack;
    facts.segment_rows = kCacheRows;
    facts.chunk = std::min(step.chunk, std::max(step.context, 1));
    facts.column_bytes = Workspace::column_bytes(config) + scratch + static_cast<uint64_t>(widest_input(config)) * kInputs;
    // Partial results of a decoded token's attention over blocks, and what each thread works in.
    const uint64_t blocks = static_cast<uint64_t>(step.context) / kernels::kAttentionBlock + 1;
    const uint64_t head = static_cast<uint64_t>(largest_head(config));
    facts.step_bytes = Workspace::row_bytes(config) + blocks * static_cast<uint64_t>(config.heads) * (head + 2) * sizeof(float) +
                       static_cast<uint64_t>(step.threads) * static_cast<uint64_t>(widest_input(config)) * sizeof(float);
    facts.gpu_step_bytes = runtime::vulkan::attention_scratch_bytes({.columns = static_cast<int32_t>(runtime::vulkan::kSplitRows),
                                                                     .widest = static_cast<int32_t>(widest_input(config)), .head_dim = largest_head(config)});
    if (config.vision || config.audio) facts.step_bytes += Workspace::media_bytes(config);
    facts.program_bytes = kProgram + static_cast<uint64_t>(config.vocab) * kPiece;
    return facts;
}

}  // namespace lapidary::model
