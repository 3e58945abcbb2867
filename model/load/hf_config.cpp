// Field names and defaults are those of the transformers configuration classes Gemma4Unified*Config.
// Anything that would need other arithmetic than ours is refused by name.
#include "model/load/hf_config.h"

#include "base/describe.h"
#include "base/try.h"
#include "model/load/config_check.h"
#include "model/load/hf_generation.h"
#include "model/load/hf_processor.h"
#include "model/load/json_fields.h"
#include "model/load/special_ids.h"

namespace lapidary::model {
namespace {

using nlohmann::json;

Error unsupported(const JsonFields& fields, const std::string& what) {
    return other_architecture(concat(fields.where(), ": ", what));
}

Result<void> refuse_quantised(const JsonFields& fields) {
    for (const char* key : {"quantization_config", "quantization", "compression_config"})
        if (fields.has(key))
            return unsupported(fields, concat("the weights are quantised in a format of another program (", key, ")"));
    return {};
}

// A section's own word for what it is; absent in older files.
Result<void> check_section(const JsonFields& section, const char* expected) {
    LAP_TRY(refuse_quantised(section));
    LAP_ASSIGN(const std::string type, section.text("model_type", expected));
    if (type == expected) return {};
    return unsupported(section, concat("its model_type is ", in_quotes(type), ", not ", in_quotes(expected)));
}

Result<void> check_architecture(const JsonFields& top) {
    LAP_ASSIGN(const std::string type, top.text("model_type", ""));
    LAP_ASSIGN(const json* architectures, top.array("architectures"));
    std::string architecture = type;
    if (architectures && !architectures->empty() && architectures->front().is_string())
        architecture = architectures->front().get<std::string>();
    const bool drafter =
        type.find("assistant") != std::string::npos || architecture.find("Assistant") != std::string::npos;
    if (drafter)
        return Error{Errc::unsupported_model,
                     concat(top.where(), ": this is a drafter (", in_quotes(architecture), "), not a model"),
                     "give the model it belongs to; drafting is not available in this version"};
    LAP_TRY(refuse_quantised(top));
    const bool other_class = architecture != type && !architecture.starts_with("Gemma4Unified");
    if (type.starts_with("gemma4_unified") && other_class)
        return unsupported(
            top, concat("the architecture is ", in_quotes(architecture), ", although model_type is ", in_quotes(type)));
    if (type == "gemma4_unified" || type == "gemma4_unified_text") return {};
    if (type.empty()) return top.wrong("model_type", "a text");
    return unsupported(top, concat("the architecture is ", in_quotes(architecture), " (model_type ", in_quotes(type), ")"));
}

// Features of bigger and smaller siblings that this architecture lacks.
Result<void> check_features(const JsonFields& text) {
    LAP_ASSIGN(const int32_t per_layer, text.integer("hidden_size_per_layer_input", 0));
    if (per_layer > 0) return unsupported(text, "it has per-layer embeddings, as Gemma 4 E2B and E4B do");
    LAP_ASSIGN(const bool moe, text.boolean("enable_moe_block", false));
    LAP_ASSIGN(const int32_t experts, text.integer("num_experts", 0));
    if (moe || experts > 0) return unsupported(text, "it is a mixture of experts");
    LAP_ASSIGN(const int32_t shared, text.integer("num_kv_shared_layers", 0));
    if (shared > 0) return unsupported(text, concat(shared, " layers share keys and values of others"));
    LAP_ASSIGN(const bool wide, text.boolean("use_double_wide_mlp", false));
    if (wide) return unsupported(text, "it has double-wide feed-forward layers");
    LAP_ASSIGN(const bool bias, text.boolean("attention_bias", false));
    if (bias) return unsupported(text, "its attention has biases");
    LAP_ASSIGN(const std::string activation, text.text("hidden_activation", "gelu_pytorch_tanh"));
    if (activation != "gelu_pytorch_tanh") return unsupported(text, concat("its activation is ", in_quotes(activation)));
    for (const char* key : {"attn_logit_softcapping", "rope_scaling"})
        if (text.has(key)) return unsupported(text, concat("it has ", key));
    return {};
}

// What transformers writes into every section, and what only training uses.
void pass_housekeeping(const JsonFields& fields) {
    fields.without_effect({"model_type", "architectures", "dtype", "torch_dtype", "transformers_version", "initializer_range",
                           "use_cache", "return_dict", "output_hidden_states", "output_attentions", "id2label",
                           "label2id", "problem_type", "chunk_size_feed_forward", "is_encoder_decoder", "is_decoder",
                           "add_cross_attention", "torchscript", "pruned_heads", "tokenizer_class", "finetuning_task",
                           "task_specific_params", "_name_or_path", "name_or_path", "attn_implementation",
                           "_attn_implementation", "attention_dropout", "cache_implementation", "unsloth_version",
                           "unsloth_fixed", "prefix"});
}

Result<void> read_kinds(const JsonFields& text, int32_t count, ModelConfig& config) {
    LAP_ASSIGN(const json* types, text.array("layer_types"));
    if (types && types->size() != static_cast<size_t>(count))
        return Error{Errc::bad_model_file, concat(text.where(), ": layer_types has ", types->size(),
                                                  " entries for ", count, " layers")};
    config.layers.resize(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; i++) {
        LayerKind& kind = config.layers[i].kind;
        kind = (i + 1) % 6 == 0 ? LayerKind::full : LayerKind::sliding;
        if (!types) continue;
        const json& name = (*types)[i];
        if (name != "sliding_attention" && name != "full_attention")
            return unsupported(text, concat("layer ", i, " has an unknown type"));
        kind = name == "full_attention" ? LayerKind::full : LayerKind::sliding;
    }
    config.layers.back().kind = LayerKind::full;  // as transformers forces it
    return {};
}

// The older form: one head size and count for all full layers.
Result<void> read_global_heads(const JsonFields& text, ModelConfig& config) {
    LAP_ASSIGN(const int32_t kv_heads, text.integer("num_key_value_heads", 4));
    LAP_ASSIGN(const int32_t head_dim, text.integer("head_dim", 256));
    LAP_ASSIGN(const int32_t global_dim, text.integer("global_head_dim", 512));
    LAP_ASSIGN(const bool k_eq_v, text.boolean("attention_k_eq_v", false));
    LAP_ASSIGN(const int32_t global_kv, text.integer("num_global_key_value_heads", kv_heads));
    const bool overrides = text.has("per_layer_config");
    for (LayerConfig& layer : config.layers) {
        const bool full = layer.kind == LayerKind::full;
        layer.k_eq_v = full && k_eq_v;
        layer.head_dim = full && !overrides ? global_dim : head_dim;
        layer.kv_heads = full && k_eq_v && !overrides ? global_kv : kv_heads;
    }
    return {};
}

// The newer form: per_layer_config {"5": {"head_dim": ..., "num_key_value_heads": ...}}.
Result<void> read_per_layer(const JsonFields& text, ModelConfig& config) {
    LAP_ASSIGN(const json* overrides, text.object("per_layer_config"));
    if (!overrides) return {};
    for (const auto& [key, entry] : overrides->items()) {
        const bool digits = !key.empty() && key.size() <= 4 && key.find_first_not_of("0123456789") == std::string::npos;
        const size_t index = digits ? static_cast<size_t>(std::stoi(key)) : SIZE_MAX;
        if (index >= config.layers.size() || !entry.is_object())
            return Error{Errc::bad_model_file,
                         concat(text.where(), ": per_layer_config has a bad entry ", in_quotes(key), " for ",
                                config.layers.size(), " layers")};
        const JsonFields layer(entry, concat(text.where(), " per_layer_config ", key));
        LayerConfig& target = config.layers[index];
        LAP_ASSIGN(target.head_dim, layer.integer("head_dim", target.head_dim));
        LAP_ASSIGN(target.kv_heads, layer.integer("num_key_value_heads", target.kv_heads));
        for (const auto& [name, value] : entry.items())
            if (name != "head_dim" && name != "num_key_value_heads")
                return unsupported(text, concat("layer ", key, " has its own ", in_quotes(name)));
    }
    return {};
}

int32_t head_dim_of(const ModelConfig& config, LayerKind kind) {
    for (const LayerConfig& layer : config.layers)
        if (layer.kind == kind) return layer.head_dim;
    return 0;
}

Result<RopeConfig> read_rope(const JsonFields& text, const char* kind_name, int32_t head_dim,
                             RopeConfig fallback, std::vector<std::string>& notes) {
    LAP_ASSIGN(const json* all, text.object("rope_parameters"));
    if (!all) return fallback;
    const JsonFields kinds(*all, text.where() + " rope_parameters");
    LAP_ASSIGN(const json* own, kinds.object(kind_name));
    if (!own) return fallback;
    const JsonFields fields(*own, concat(kinds.where(), " ", kind_name));
    LAP_ASSIGN(const std::string type, fields.text("rope_type", "default"));
    LAP_ASSIGN(const double factor, fields.number("partial_rotary_factor", 1.0));
    RopeConfig rope;
    LAP_ASSIGN(rope.theta, fields.number("rope_theta", fallback.theta));
    if (!(factor >= 0 && factor <= 1)) return fields.wrong("partial_rotary_factor", "a number from 0 to 1");
    if (type == "proportional") {
        rope.pairs = static_cast<int32_t>(factor * head_dim / 2);
    } else if (type == "default") {
        rope.pairs = head_dim / 2;  // transformers ignores the factor here
    } else {
        return unsupported(text, concat("rotary type ", in_quotes(type)));
    }
    LAP_ASSIGN(const double scale, fields.number("factor", 1.0));
    if (scale != 1.0) return unsupported(text, "its rotary embedding is scaled");
    fields.note_rest(notes);
    return rope;
}

// A fine-tune that asks for positions turned another way, in a form that is not the two kinds'.
Result<void> refuse_flat_rope(const JsonFields& text) {
    LAP_ASSIGN(const json* all, text.object("rope_parameters"));
    if (!all) return {};
    for (const auto& [key, value] : all->items())
        if (key != "sliding_attention" && key != "full_attention" && !value.is_null())
            return unsupported(text, concat("its rope_parameters have ", in_quotes(key)));
    return {};
}

// Without the section the sizes stand at the top; a file with neither would be taken for a model of the defaults.
Result<void> require_sizes(const JsonFields& top) {
    for (const char* key : {"hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "vocab_size"})
        if (top.has(key)) return {};
    return Error{Errc::bad_model_file, concat(top.where(), ": text_config is missing, which says how large the model is"),
                 "fetch the file again"};
}

// transformers leaves away what has the default of its class, so every size has one; the tensors' shapes show whether
// it was meant.
Result<void> read_text(const JsonFields& text, ModelConfig& config, std::vector<std::string>& notes) {
    LAP_TRY(check_features(text));
    LAP_ASSIGN(config.hidden, text.integer("hidden_size", 2304));
    LAP_ASSIGN(config.ffn, text.integer("intermediate_size", 9216));
    LAP_ASSIGN(config.vocab, text.integer("vocab_size", 262144));
    LAP_ASSIGN(config.heads, text.integer("num_attention_heads", 8));
    LAP_ASSIGN(config.context, text.integer("max_position_embeddings", 262144));
    LAP_ASSIGN(config.window, text.integer("sliding_window", 1024));
    LAP_ASSIGN(const double eps, text.number("rms_norm_eps", 1e-6));
    LAP_ASSIGN(const double cap, text.number("final_logit_softcapping", 0.0));
    config.rms_eps = static_cast<float>(eps);
    config.soft_cap = static_cast<float>(cap);
    LAP_ASSIGN(const int32_t layers, text.integer("num_hidden_layers", 30));
    if (layers < 1 || layers > kMaxLayers) return text.wrong("num_hidden_layers", "1 to 1024");
    LAP_TRY(read_kinds(text, layers, config));
    LAP_TRY(read_global_heads(text, config));
    LAP_TRY(read_per_layer(text, config));
    const int32_t sliding = head_dim_of(config, LayerKind::sliding), full = head_dim_of(config, LayerKind::full);
    LAP_TRY(refuse_flat_rope(text));
    LAP_ASSIGN(config.sliding_rope, read_rope(text, "sliding_attention", sliding, {10000.0, sliding / 2}, notes));
    LAP_ASSIGN(config.full_rope, read_rope(text, "full_attention", full, {1000000.0, full / 8}, notes));
    // Sizes of parts that check_features made sure are absent, and ids that the tokenizer names.
    text.without_effect({"moe_intermediate_size", "expert_intermediate_size", "top_k_experts", "vocab_size_per_layer_input",
                         "use_bidirectional_attention", "unk_token_id", "mask_token_id"});
    pass_housekeeping(text);
    return {};
}

// An explicit null means causal everywhere; a missing field means "vision".
Result<void> read_blocks(const json& text, const JsonFields& fields, ModelConfig& config) {
    const auto value = text.find("use_bidirectional_attention");
    if (value == text.end() || *value == "vision") return {};
    if (!value->is_null()) return unsupported(fields, concat("use_bidirectional_attention is ", value->dump()));
    config.vision_blocks = false;
    return {};
}

// The width of a recording's rows goes by several names in transformers, which sets them all at once.
Result<int32_t> samples_per_token(const JsonFields& fields) {
    std::optional<int32_t> samples;
    for (const char* key : {"audio_embed_dim", "hidden_size", "output_proj_dims", "audio_samples_per_token"}) {
        if (!fields.has(key)) continue;
        LAP_ASSIGN(const int32_t value, fields.integer(key));
        if (samples.value_or(value) != value)
            return fields.wrong(key, concat(*samples, " as audio_embed_dim").c_str());
        samples = value;
    }
    return samples.value_or(640);
}

Result<void> read_media(const JsonFields& top, ModelConfig& config, std::vector<std::string>& notes) {
    LAP_ASSIGN(const json* vision_json, top.object("vision_config"));
    if (vision_json) {
        const JsonFields fields(*vision_json, top.where() + " vision_config");
        LAP_TRY(check_section(fields, "gemma4_unified_vision"));
        VisionConfig vision;
        LAP_ASSIGN(vision.patch_size, fields.integer("patch_size", 16));
        LAP_ASSIGN(vision.pooling, fields.integer("pooling_kernel_size", 3));
        const int64_t product = static_cast<int64_t>(vision.patch_size) * vision.pooling;
        const int32_t usual = product > 0 && product <= 1024 ? static_cast<int32_t>(product) : 0;
        LAP_ASSIGN(vision.model_patch, fields.integer("model_patch_size", usual));
        LAP_ASSIGN(vision.embed_dim, fields.integer("mm_embed_dim", 3840));
        LAP_ASSIGN(vision.positions, fields.integer("mm_posemb_size", 1120));
        LAP_ASSIGN(const double eps, fields.number("rms_norm_eps", 1e-6));
        vision.rms_eps = static_cast<float>(eps);
        fields.without_effect({"output_proj_dims", "num_soft_tokens"});  // text_config and the processor say these
        pass_housekeeping(fields);
        fields.note_rest(notes);
        config.vision = vision;
    }
    LAP_ASSIGN(const json* audio_json, top.object("audio_config"));
    if (audio_json) {
        const JsonFields fields(*audio_json, top.where() + " audio_config");
        LAP_TRY(check_section(fields, "gemma4_unified_audio"));
        AudioConfig audio;
        LAP_ASSIGN(audio.samples_per_token, samples_per_token(fields));
        LAP_ASSIGN(const double eps, fields.number("rms_norm_eps", 1e-6));
        audio.rms_eps = static_cast<float>(eps);
        pass_housekeeping(fields);
        fields.note_rest(notes);
        config.audio = audio;
    }
    return {};
}

Result<void> read_ids(const JsonFields& top, const JsonFields& text, ModelConfig& config,
                      std::vector<std::string>& notes) {
    LAP_ASSIGN(const int32_t bos, text.integer("bos_token_id", 2));
    LAP_ASSIGN(const int32_t pad, text.integer("pad_token_id", 0));
    LAP_ASSIGN(config.ids.bos, top.integer("bos_token_id", bos));
    LAP_ASSIGN(config.ids.pad, top.integer("pad_token_id", pad));
    LAP_ASSIGN(config.ids.image, top.integer("image_token_id", -1));
    LAP_ASSIGN(config.ids.begin_image, top.integer("boi_token_id", -1));
    LAP_ASSIGN(config.ids.end_image, top.integer("eoi_token_id", -1));
    LAP_ASSIGN(config.ids.audio, top.integer("audio_token_id", -1));
    LAP_ASSIGN(config.ids.begin_audio, top.integer("boa_token_id", -1));
    LAP_ASSIGN(const int32_t end_audio, top.integer("eoa_token_id", -1));
    LAP_ASSIGN(config.ids.end_audio, top.integer("eoa_token_index", end_audio));
    LAP_ASSIGN(config.ids.video, top.integer("video_token_id", -1));
    LAP_ASSIGN(config.stop_ids, top.integers("eos_token_id"));
    LAP_ASSIGN(const std::vector<int32_t> text_stop_ids, text.integers("eos_token_id"));
    if (config.stop_ids.empty()) config.stop_ids = text_stop_ids;
    drop_ids_beyond(config.stop_ids, config.vocab, concat(top.where(), ": eos_token_id"), notes);
    return {};
}

// Of the whole and of its text part; one that is not tied needs weights of its own (hf_loader.cpp).
Result<bool> read_tied(const JsonFields& top, const JsonFields& text) {
    LAP_ASSIGN(const bool whole, top.boolean("tie_word_embeddings", true));
    LAP_ASSIGN(const bool part, text.boolean("tie_word_embeddings", true));
    return whole && part;
}

}  // namespace

Result<HfConfig> read_hf_config(const TextFiles& files) {
    constexpr const char* kName = "config.json";
    LAP_ASSIGN(const json file, files.read_json(kName));
    const JsonFields top(file, in_quotes(files.where(kName)));
    LAP_TRY(check_architecture(top));
    LAP_ASSIGN(const json* nested, top.object("text_config"));
    const json& text_json = nested ? *nested : file;
    const JsonFields own_text(text_json, top.where() + " text_config");
    const JsonFields& text = nested ? own_text : top;  // a text-only checkpoint has no sections
    if (nested) LAP_TRY(check_section(text, "gemma4_unified_text"));
    if (!nested) LAP_TRY(require_sizes(top));

    HfConfig out;
    ModelConfig& config = out.model;
    LAP_ASSIGN(config.name, top.text("_name_or_path", ""));
    if (config.name.empty()) config.name = files.title();
    LAP_TRY(read_text(text, config, out.notes));
    LAP_TRY(read_blocks(text_json, text, config));
    LAP_TRY(read_media(top, config, out.notes));
    LAP_TRY(read_ids(top, text, config, out.notes));
    LAP_ASSIGN(out.tied_head, read_tied(top, text));
    top.without_effect({"vision_soft_tokens_per_image"});  // the processor says it
    pass_housekeeping(top);
    top.note_rest(out.notes);
    if (nested) text.note_rest(out.notes);
    LAP_TRY(read_hf_generation(files, config, out.notes));
    LAP_TRY(read_hf_processor(files, config, out.notes));
    return out;
}

}  // namespace lapidary::model
