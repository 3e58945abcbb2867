// The plan of plan.h filled from random.h into one anonymous mapping.
#include "model/synth/memory.h"

#include <cstring>
#include <map>

#include "base/try.h"
#include "model/load/bind.h"
#include "model/load/config_check.h"
#include "model/load/report.h"
#include "model/synth/plan.h"
#include "model/synth/random.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::model {
namespace {

using kernels::Format;

ModelConfig config_of(const SynthShape& s) {
    ModelConfig c;
    c.name = "synthetic gemma 4";
    c.hidden = s.hidden;
    c.ffn = s.ffn;
    c.vocab = s.vocab;
    c.heads = s.heads;
    c.context = kSynthContext;
    c.window = s.window;
    c.soft_cap = 30.0f;
    c.sliding_rope = {10000.0, s.head_dim / 2};
    c.full_rope = {1000000.0, s.full_head_dim / 8};
    for (int32_t i = 0; i < s.layers; ++i) {
        if (s.sliding(i))
            c.layers.push_back({LayerKind::sliding, s.kv_heads, s.head_dim, false});
        else
            c.layers.push_back({LayerKind::full, s.full_kv_heads, s.full_head_dim, true});
    }
    c.stop_ids = {1};
    return c;
}

void fill_floats(const SynthTensor& t, SynthRandom& random, std::byte* to) {
    for (int64_t i = 0; i < t.values(); ++i) {
        const float value = synth_value(t, random.normal());
        std::memcpy(to + i * 4, &value, 4);
    }
}

}  // namespace

Result<LoadedModel> synthetic_model(const SynthOptions& options, Filled filled) {
    LAP_TRY(check_synth_options(options));
    const SynthShape shape = synth_shape(options.preset, options.layers);
    std::vector<SynthTensor> tensors = synth_tensors(shape, options);
    std::erase_if(tensors, [](const SynthTensor& t) { return t.fill == SynthFill::rotation; });
    uint64_t total = 0;
    for (const SynthTensor& t : tensors) total += (t.bytes + 63) / 64 * 64;
    LAP_ASSIGN(const runtime::Buffer memory, runtime::allocate_host(total));

    LoadedModel model;
    model.config = config_of(shape);
    model.source = "synthetic";
    model.vocabulary_problem = "synthetic models have none";
    LAP_TRY(check_config(model.config, "the synthetic model"));
    TensorSource source;
    std::map<Format, BlockPool> pools;
    SynthRandom random(7);
    size_t at = 0;
    for (const SynthTensor& t : tensors) {
        std::byte* to = host_bytes(*memory) + at;
        if (filled == Filled::no) {
            // zeros
        } else if (t.fill == SynthFill::matrix || t.fill == SynthFill::embedding) {
            const auto seed = 11 + static_cast<uint64_t>(t.format);
            const auto pool = pools.try_emplace(t.format, t.format, kSynthDeviation, seed).first;
            LAP_TRY(pool->second.tensor(t.bytes, [&](const std::byte* from, size_t count) -> Result<void> {
                std::memcpy(to, from, count);
                to += count;
                return {};
            }));
        } else {
            fill_floats(t, random, to);
        }
        SourceTensor placed{t, t.name, memory};
        placed.offset = at;
        LAP_TRY(source.add(std::move(placed)));
        at += (t.bytes + 63) / 64 * 64;
    }
    LAP_TRY(bind_text(source, kGgufNames, model.config, true, model.weights));
    model.weights.buffers.push_back(memory);
    model.weights.bytes = source.used_bytes();
    list_tensors(source, "synthetic", kGgufNames, {}, model);
    return model;
}

}  // namespace lapidary::model
