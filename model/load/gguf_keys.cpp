// The table of keys; see gguf_keys.h. Key names: the GGUF specification, and what llama.cpp's converter and loader
// know for every architecture (any of them may stand in a file).
#include "model/load/gguf_keys.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/gguf_fields.h"

namespace lapidary::model {
namespace {

using runtime::Gguf;
using runtime::GgufValue;

enum class Rule {
    read,     // gguf_config.cpp and gguf_loader.cpp read it and judge its value
    about,    // for people, or without a meaning in this architecture
    must_be,  // another value is another computation
    note      // another value is not obeyed
};

struct Key {
    std::string_view name;  // a * at its end stands for any rest
    Rule rule;
    double neutral = 0, also = 0;  // the values that change nothing; a list must hold nothing else, a text be empty
};

// The first that matches decides.
constexpr Key kKeys[] = {
    {"gemma4.block_count", Rule::read},
    {"gemma4.context_length", Rule::read},
    {"gemma4.embedding_length", Rule::read},
    {"gemma4.embedding_length_per_layer_input", Rule::read},
    {"gemma4.feed_forward_length", Rule::read},
    {"gemma4.final_logit_softcapping", Rule::read},
    {"gemma4.expert_count", Rule::read},
    {"gemma4.attention.head_count", Rule::read},
    {"gemma4.attention.head_count_kv", Rule::read},
    {"gemma4.attention.key_length", Rule::read},
    {"gemma4.attention.key_length_swa", Rule::read},
    {"gemma4.attention.value_length", Rule::read},
    {"gemma4.attention.value_length_swa", Rule::read},
    {"gemma4.attention.layer_norm_rms_epsilon", Rule::read},
    {"gemma4.attention.shared_kv_layers", Rule::read},
    {"gemma4.attention.sliding_window", Rule::read},
    {"gemma4.attention.sliding_window_pattern", Rule::read},
    {"gemma4.rope.freq_base", Rule::read},
    {"gemma4.rope.freq_base_swa", Rule::read},
    {"gemma4.rope.dimension_count", Rule::read},
    {"gemma4.rope.dimension_count_swa", Rule::read},
    {"gemma4.rope.scaling.type", Rule::read},
    {"gemma4.vocab_size", Rule::read},

    {"gemma4.attention.causal", Rule::must_be, 1, 1},
    {"gemma4.attention.scale", Rule::must_be, 1},  // 0: the architecture's own, which is 1
    {"gemma4.attention.output_scale", Rule::must_be, 1},
    {"gemma4.attention.value_scale", Rule::must_be, 1},
    {"gemma4.attention.temperature_length", Rule::must_be},
    {"gemma4.attention.temperature_scale", Rule::must_be},
    {"gemma4.attention.max_alibi_bias", Rule::must_be},
    {"gemma4.attention.clamp_kqv", Rule::must_be},
    {"gemma4.attention.relative_buckets_count", Rule::must_be},
    {"gemma4.attention.q_lora_rank", Rule::must_be},
    {"gemma4.attention.kv_lora_rank", Rule::must_be},
    {"gemma4.attention.recurrent_layers", Rule::must_be},
    {"gemma4.attn_logit_softcapping", Rule::must_be},
    {"gemma4.attention.logit_softcapping", Rule::must_be},
    {"gemma4.router_logit_softcapping", Rule::must_be},
    {"gemma4.logit_scale", Rule::must_be, 1},
    {"gemma4.embedding_scale", Rule::must_be, 1},
    {"gemma4.residual_scale", Rule::must_be, 1},
    {"gemma4.use_parallel_residual", Rule::must_be},
    {"gemma4.activation_sparsity_scale", Rule::must_be},
    {"gemma4.altup.num_inputs", Rule::must_be, 1},
    {"gemma4.num_loops", Rule::must_be, 1},
    {"gemma4.swin_norm", Rule::must_be},
    {"gemma4.adapters.count", Rule::must_be},
    {"gemma4.n_deepstack_layers", Rule::must_be},
    {"gemma4.expert_used_count", Rule::must_be},
    {"gemma4.expert_shared_count", Rule::must_be},
    {"gemma4.rope.scaling.factor", Rule::must_be, 1},
    {"gemma4.rope.scaling.attn_factor", Rule::must_be, 1},
    {"gemma4.rope.scaling.alpha", Rule::must_be, 1},
    {"gemma4.rope.scale_linear", Rule::must_be, 1},
    {"gemma4.rope.dimension_sections", Rule::must_be},
    {"gemma4.nextn_predict_layers", Rule::note},
    {"gemma4.pooling_type", Rule::note},
    {"gemma4.expert_*", Rule::about},  // there are no experts
    {"gemma4.rope.scaling.finetuned", Rule::about},
    {"gemma4.rope.scaling.original_context_length", Rule::about},  // of scalings that are refused
    {"gemma4.rope.scaling.yarn_*", Rule::about},
    {"gemma4.tensor_data_layout", Rule::about},

    {"tokenizer.ggml.model", Rule::read},
    {"tokenizer.ggml.pre", Rule::read},
    {"tokenizer.ggml.tokens", Rule::read},
    {"tokenizer.ggml.token_type", Rule::read},
    {"tokenizer.ggml.merges", Rule::read},
    {"tokenizer.ggml.bos_token_id", Rule::read},
    {"tokenizer.ggml.eos_token_id", Rule::read},
    {"tokenizer.ggml.eot_token_id", Rule::read},
    {"tokenizer.ggml.eom_token_id", Rule::read},
    {"tokenizer.ggml.fim_pad_token_id", Rule::read},
    {"tokenizer.ggml.fim_rep_token_id", Rule::read},
    {"tokenizer.ggml.fim_sep_token_id", Rule::read},
    {"tokenizer.ggml.unknown_token_id", Rule::read},
    {"tokenizer.ggml.padding_token_id", Rule::read},
    {"tokenizer.ggml.suppress_tokens", Rule::read},
    {"tokenizer.ggml.normalizer.*", Rule::read},
    {"tokenizer.chat_template", Rule::read},
    {"tokenizer.ggml.add_bos_token", Rule::note, 1, 1},
    {"tokenizer.ggml.add_eos_token", Rule::note},
    {"tokenizer.ggml.add_sep_token", Rule::note},
    {"tokenizer.ggml.add_space_prefix", Rule::note},
    {"tokenizer.ggml.remove_extra_whitespaces", Rule::note},
    {"tokenizer.ggml.precompiled_charsmap", Rule::note},
    {"tokenizer.chat_template*", Rule::about},  // named ones, and their list
    {"tokenizer.huggingface.json", Rule::about},
    {"tokenizer.ggml.scores", Rule::about},  // a BPE has ranks instead
    {"tokenizer.ggml.token_type_count", Rule::about},
    {"tokenizer.ggml.added_tokens", Rule::about},  // they have a type
    {"tokenizer.ggml.mask_token_id", Rule::about},
    {"tokenizer.ggml.cls_token_id", Rule::about},
    {"tokenizer.ggml.seperator_token_id", Rule::about},
    {"tokenizer.ggml.fim_*", Rule::about},
    {"tokenizer.ggml.prefix_token_id", Rule::about},
    {"tokenizer.ggml.suffix_token_id", Rule::about},
    {"tokenizer.ggml.middle_token_id", Rule::about},

    {"general.quantization_version", Rule::read},
    {"general.sampling.temp", Rule::read},
    {"general.sampling.top_k", Rule::read},
    {"general.sampling.top_p", Rule::read},
    {"general.sampling.min_p", Rule::read},
    {"general.sampling.xtc_probability", Rule::note},
    {"general.sampling.xtc_threshold", Rule::about},  // nothing without a probability
    {"general.sampling.penalty_repeat", Rule::note, 1},
    {"general.sampling.penalty_last_n", Rule::about},
    {"general.sampling.mirostat", Rule::note},
    {"general.sampling.mirostat_*", Rule::about},
    {"general.sampling.sequence", Rule::note},
};

// Of projectors. Pictures and sound pass one matrix each; what shapes say is judged by shapes.
constexpr Key kProjectorKeys[] = {
    {"clip.has_vision_encoder", Rule::read},
    {"clip.has_audio_encoder", Rule::read},
    {"clip.projector_type", Rule::read},
    {"clip.vision.projector_type", Rule::read},
    {"clip.vision.patch_size", Rule::read},
    {"clip.vision.projector.scale_factor", Rule::read},
    {"clip.vision.attention.layer_norm_epsilon", Rule::read},
    {"clip.audio.projector_type", Rule::read},
    {"clip.audio.attention.layer_norm_epsilon", Rule::read},

    {"clip.vision.image_mean", Rule::must_be},
    {"clip.vision.image_std", Rule::must_be, 1, 1},
    {"clip.vision.block_count", Rule::must_be},
    {"clip.vision.window_size", Rule::must_be},
    {"clip.vision.n_wa_pattern", Rule::must_be},
    {"clip.vision.wa_*", Rule::must_be},
    {"clip.vision.is_deepstack_layers", Rule::must_be},
    {"clip.vision.feature_layer", Rule::must_be},
    {"clip.vision.mm_patch_merge_type", Rule::must_be},
    {"clip.vision.image_grid_pinpoints", Rule::must_be},
    {"clip.audio.block_count", Rule::must_be},
    {"clip.audio.projector.stack_factor", Rule::must_be, 1},

    {"clip.vision.spatial_merge_size", Rule::note, 1},  // of projectors of other kinds; this one has a scale_factor
    {"clip.vision.feed_forward_length", Rule::note},
    {"clip.audio.feed_forward_length", Rule::note},
    {"clip.use_gelu", Rule::note},  // without blocks, activations of nothing
    {"clip.use_silu", Rule::note},
    {"clip.vision.use_*", Rule::note},
    {"clip.audio.use_*", Rule::note},

    {"clip.vision.image_size", Rule::about},  // pictures have the size that their tokens ask for
    {"clip.vision.embedding_length", Rule::about},
    {"clip.vision.projection_dim", Rule::about},
    {"clip.vision.attention.head_count", Rule::about},  // without blocks, heads of nothing
    {"clip.audio.embedding_length", Rule::about},
    {"clip.audio.projection_dim", Rule::about},
    {"clip.audio.attention.head_count", Rule::about},
    {"clip.audio.num_mel_bins", Rule::about},  // published files have one, and samples are not turned into any
    {"clip.has_text_encoder", Rule::about},
    {"clip.has_llava_projector", Rule::about},
};
constexpr std::string_view kProjectorMeaningful[] = {"clip."};

// What else may matter; the rest of a file's keys is its maker's.
constexpr std::string_view kMeaningful[] = {"gemma4.", "tokenizer.", "general.sampling.", "general.tensor_extra."};

bool matches(const Key& key, std::string_view name) {
    if (!key.name.ends_with('*')) return key.name == name;
    return name.starts_with(key.name.substr(0, key.name.size() - 1));
}

struct Table {
    const char* what;  // whose keys, as notes call it
    std::span<const Key> keys;
    std::span<const std::string_view> meaningful;

    const Key* find(std::string_view name) const {
        const auto at = std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return matches(key, name); });
        return at == keys.end() ? nullptr : &*at;
    }
    bool is_meaningful(std::string_view name) const {
        return std::any_of(meaningful.begin(), meaningful.end(),
                           [&](std::string_view prefix) { return name.starts_with(prefix); });
    }
};

bool is_neutral(const Key& key, const GgufValue& value) {
    const auto neutral = [&](double number) {
        return std::abs(number - key.neutral) < 1e-6 || std::abs(number - key.also) < 1e-6;
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

Result<void> check_table(const Table& table, const Gguf& gguf, std::vector<std::string>& notes) {
    std::vector<std::string> unknown;
    for (const auto& [name, value] : gguf.metadata) {
        const Key* key = table.find(name);
        if (!key) {
            if (table.is_meaningful(name)) unknown.push_back(in_quotes(name));
        } else if (key->rule == Rule::must_be && !is_neutral(*key, value)) {
            return Error{Errc::unsupported_model,
                         concat(GgufFields(gguf, "").file(), ": ", named(name, value),
                                ", which this program does not compute"),
                         "this program runs Gemma 4 12B Unified and other sizes of that architecture"};
        } else if (key->rule == Rule::note && !is_neutral(*key, value)) {
            notes.push_back(concat(named(name, value), " in the ", table.what, "; it is not obeyed"));
        }
    }
    if (!unknown.empty())
        notes.push_back(concat("the ", table.what, " has keys that this version does not know: ", short_list(unknown)));
    return {};
}

}  // namespace

Result<void> check_gguf_keys(const Gguf& gguf, std::vector<std::string>& notes) {
    LAP_TRY(check_quantization_version(gguf, GgufFields(gguf, ""), notes));
    return check_table({"file", kKeys, kMeaningful}, gguf, notes);
}

Result<void> check_projector_keys(const Gguf& projector, std::vector<std::string>& notes) {
    LAP_TRY(check_quantization_version(projector, GgufFields(projector, ""), notes));
    return check_table({"projector", kProjectorKeys, kProjectorMeaningful}, projector, notes);
}

}  // namespace lapidary::model
