// The lists of keys; see gguf_keys.h. Key names: the GGUF specification, and what llama.cpp's converter and loader
// know for every architecture (any of them may stand in a file).
#include "model/load/gguf_keys.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/config_check.h"
#include "model/load/gguf_fields.h"

namespace lapidary::model {
namespace {

using runtime::Gguf;
using runtime::GgufValue;

// Names, of model files and projectors; a * at the end stands for any rest. gguf_config.cpp and gguf_loader.cpp read these
// and judge their values.
constexpr std::string_view kRead[] = {
    "gemma4.block_count", "gemma4.context_length", "gemma4.embedding_length", "gemma4.embedding_length_per_layer_input",
    "gemma4.feed_forward_length", "gemma4.final_logit_softcapping", "gemma4.expert_count", "gemma4.vocab_size",
    "gemma4.attention.head_count", "gemma4.attention.head_count_kv", "gemma4.attention.key_length",
    "gemma4.attention.key_length_swa", "gemma4.attention.value_length", "gemma4.attention.value_length_swa",
    "gemma4.attention.layer_norm_rms_epsilon", "gemma4.attention.shared_kv_layers", "gemma4.attention.sliding_window",
    "gemma4.attention.sliding_window_pattern", "gemma4.rope.freq_base", "gemma4.rope.freq_base_swa",
    "gemma4.rope.dimension_count", "gemma4.rope.dimension_count_swa", "gemma4.rope.scaling.type",
    "gemma4.vision.patch_size", "gemma4.vision.projector.scale_factor", "gemma4.vision.attention.layer_norm_epsilon",
    "gemma4.audio.attention.layer_norm_epsilon",

    "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id", "tokenizer.ggml.fim_sep_token_id",
    "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id", "tokenizer.ggml.suppress_tokens",
    "tokenizer.ggml.normalizer.*", "tokenizer.chat_template",

    "general.sampling.temp", "general.sampling.top_k", "general.sampling.top_p", "general.sampling.min_p",

    "clip.has_vision_encoder", "clip.has_audio_encoder", "clip.projector_type", "clip.vision.projector_type",
    "clip.vision.patch_size", "clip.vision.projector.scale_factor", "clip.vision.attention.layer_norm_epsilon",
    "clip.audio.projector_type", "clip.audio.attention.layer_norm_epsilon",
};

// Another value is another computation. Of projectors: pictures and sound pass one matrix each, and what shapes say is
// judged by shapes.
constexpr std::string_view kMustBeZero[] = {
    "gemma4.attention.temperature_length", "gemma4.attention.temperature_scale", "gemma4.attention.max_alibi_bias",
    "gemma4.attention.clamp_kqv", "gemma4.attention.relative_buckets_count", "gemma4.attention.q_lora_rank",
    "gemma4.attention.kv_lora_rank", "gemma4.attention.recurrent_layers", "gemma4.attn_logit_softcapping",
    "gemma4.attention.logit_softcapping", "gemma4.router_logit_softcapping", "gemma4.use_parallel_residual",
    "gemma4.activation_sparsity_scale", "gemma4.swin_norm", "gemma4.adapters.count", "gemma4.n_deepstack_layers",
    "gemma4.expert_used_count", "gemma4.expert_shared_count", "gemma4.rope.dimension_sections",

    "clip.vision.image_mean", "clip.vision.block_count", "clip.vision.window_size", "clip.vision.n_wa_pattern",
    "clip.vision.wa_*", "clip.vision.is_deepstack_layers", "clip.vision.feature_layer", "clip.vision.mm_patch_merge_type",
    "clip.vision.image_grid_pinpoints", "clip.audio.block_count",
};
constexpr std::string_view kMustBeOne[] = {"gemma4.attention.causal", "clip.vision.image_std"};
constexpr std::string_view kMustBeOneOrZero[] = {
    "gemma4.attention.scale",  // 0: the architecture's own, which is 1
    "gemma4.attention.output_scale", "gemma4.attention.value_scale", "gemma4.logit_scale", "gemma4.embedding_scale",
    "gemma4.residual_scale", "gemma4.altup.num_inputs", "gemma4.num_loops", "gemma4.rope.scaling.factor",
    "gemma4.rope.scaling.attn_factor", "gemma4.rope.scaling.alpha", "gemma4.rope.scale_linear",
    "clip.audio.projector.stack_factor",
};

// Another value is not obeyed, and a note says so.
constexpr std::string_view kNotedUnlessZero[] = {
    "gemma4.nextn_predict_layers", "gemma4.pooling_type", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_sep_token",
    "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.precompiled_charsmap",
    "general.sampling.xtc_probability", "general.sampling.mirostat", "general.sampling.sequence",
    "clip.vision.feed_forward_length", "clip.audio.feed_forward_length",
    "clip.use_gelu", "clip.use_silu", "clip.vision.use_*", "clip.audio.use_*",  // without blocks, activations of nothing
};
constexpr std::string_view kNotedUnlessOne[] = {"tokenizer.ggml.add_bos_token"};
constexpr std::string_view kNotedUnlessOneOrZero[] = {
    "general.sampling.penalty_repeat",
    "clip.vision.spatial_merge_size",  // of projectors of other kinds; this one has a scale_factor
};

// For people, or without a meaning in this architecture.
constexpr std::string_view kAbout[] = {
    "gemma4.expert_*",  // there are no experts
    "gemma4.vision.*", "gemma4.audio.*",  // of encoders, whose tensors are refused
    "gemma4.rope.scaling.finetuned", "gemma4.rope.scaling.original_context_length",  // of scalings that are refused
    "gemma4.rope.scaling.yarn_*", "gemma4.tensor_data_layout",

    "tokenizer.chat_template*",  // named ones, and their list
    "tokenizer.huggingface.json",
    "tokenizer.ggml.scores",        // a BPE has ranks instead
    "tokenizer.ggml.added_tokens",  // they have a type
    "tokenizer.ggml.token_type_count", "tokenizer.ggml.mask_token_id", "tokenizer.ggml.cls_token_id",
    "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.fim_*", "tokenizer.ggml.prefix_token_id",
    "tokenizer.ggml.suffix_token_id", "tokenizer.ggml.middle_token_id",

    "general.sampling.xtc_threshold",  // nothing without a probability
    "general.sampling.penalty_last_n", "general.sampling.mirostat_*",

    "clip.vision.image_size",  // pictures have the size that their tokens ask for
    "clip.vision.embedding_length", "clip.vision.projection_dim", "clip.audio.embedding_length", "clip.audio.projection_dim",
    "clip.vision.attention.head_count", "clip.audio.attention.head_count",  // without blocks, heads of nothing
    "clip.audio.num_mel_bins",  // published files have one, and samples are not turned into any
    "clip.has_text_encoder", "clip.has_llava_projector",
};

enum class Rule { known, must_be, note };

struct Group {
    Rule rule;
    std::span<const std::string_view> names;
    double neutral = 0, also = 0;  // the values that change nothing; a list must hold nothing else, a text be empty
};
// The first that has the name decides.
constexpr Group kGroups[] = {
    {Rule::known, kRead},
    {Rule::must_be, kMustBeZero},
    {Rule::must_be, kMustBeOne, 1, 1},
    {Rule::must_be, kMustBeOneOrZero, 1, 0},
    {Rule::note, kNotedUnlessZero},
    {Rule::note, kNotedUnlessOne, 1, 1},
    {Rule::note, kNotedUnlessOneOrZero, 1, 0},
    {Rule::known, kAbout},
};

// What may matter; the rest of a file's keys is its maker's.
constexpr std::string_view kMeaningful[] = {"gemma4.", "tokenizer.", "general.sampling.", "general.tensor_extra."};
constexpr std::string_view kProjectorMeaningful[] = {"clip."};

const Group* group_of(std::string_view name) {
    const auto same = [name](std::string_view known) {
        return known.ends_with('*') ? name.starts_with(known.substr(0, known.size() - 1)) : name == known;
    };
    for (const Group& group : kGroups)
        if (std::any_of(group.names.begin(), group.names.end(), same)) return &group;
    return nullptr;
}

bool is_neutral(const Group& group, const GgufValue& value) {
    const auto neutral = [&](double number) {
        return std::abs(number - group.neutral) < 1e-6 || std::abs(number - group.also) < 1e-6;
    };
    if (const auto text = value.text()) return text->empty();
    if (const auto flag = value.boolean()) return neutral(*flag ? 1 : 0);
    if (const auto number = value.number()) return neutral(*number);
    if (value.count == 0) return true;
    const auto list = value.numbers();
    return list && std::all_of(list->begin(), list->end(), neutral);
}

std::string named(std::string_view key, const GgufValue& value) {
    constexpr size_t kShown = 60;
    return concat(in_quotes(key), " is ", in_quotes(value.describe(kShown)));
}

// How blocks are laid out changed twice before version 2, which has stood since 2023.
Result<void> check_quantization_version(const Gguf& gguf, const GgufFields& general, std::vector<std::string>& notes) {
    constexpr int32_t kVersion = 2;
    const auto found = general.integer("general.quantization_version", kVersion);
    if (!found) notes.push_back(concat(found.error().message, "; version ", kVersion, " is taken"));
    const int32_t version = found ? *found : kVersion;
    const bool quantised = std::any_of(gguf.tensors.begin(), gguf.tensors.end(), [](const auto& tensor) {
        return tensor.foreign_type.empty() && kernels::is_quantised(tensor.format);
    });
    if (version == kVersion || !quantised) return {};
    return Error{Errc::unsupported_model,
                 concat(general.file(), " is quantised in version ", version, " of the formats; version ", kVersion,
                        " is read"),
                 "quantise the model again with a current program"};
}

// `what`: whose keys, as notes call it.
Result<void> check_keys(const Gguf& gguf, const char* what, std::span<const std::string_view> meaningful,
                        std::vector<std::string>& notes) {
    const GgufFields general(gguf, "");
    LAP_TRY(check_quantization_version(gguf, general, notes));
    std::vector<std::string> unknown;
    for (const auto& entry : gguf.metadata) {
        const std::string_view name = entry.first;
        const GgufValue& value = entry.second;
        const auto begins = [name](std::string_view prefix) { return name.starts_with(prefix); };
        if (std::none_of(meaningful.begin(), meaningful.end(), begins)) continue;
        const Group* group = group_of(name);
        if (!group) {
            unknown.push_back(in_quotes(name));
        } else if (group->rule == Rule::must_be && !is_neutral(*group, value)) {
            return other_architecture(
                concat(general.file(), ": ", named(name, value), ", which this program does not compute"));
        } else if (group->rule == Rule::note && !is_neutral(*group, value)) {
            notes.push_back(concat(named(name, value), " in the ", what, "; it is not obeyed"));
        }
    }
    if (!unknown.empty())
        notes.push_back(concat("the ", what, " has keys that this version does not know: ", short_list(unknown)));
    return {};
}

}  // namespace

Result<void> check_gguf_keys(const Gguf& gguf, std::vector<std::string>& notes) {
    return check_keys(gguf, "file", kMeaningful, notes);
}

Result<void> check_projector_keys(const Gguf& projector, std::vector<std::string>& notes) {
    return check_keys(projector, "projector", kProjectorMeaningful, notes);
}

}  // namespace lapidary::model
