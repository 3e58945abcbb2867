// Key names are those of llama.cpp's converter for the architecture "gemma4" (text) and "clip" (projector).
#include "model/load/gguf_config.h"

#include <algorithm>
#include <cstring>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/config_check.h"
#include "model/load/gguf_fields.h"
#include "model/load/gguf_keys.h"
#include "model/load/gguf_kind.h"
#include "model/load/sampling_defaults.h"
#include "runtime/memory/host_access.h"

namespace lapidary::model {
namespace {

using runtime::FileTensor;
using runtime::Gguf;

Error unsupported(const GgufFields& keys, const std::string& what) {
    return other_architecture(concat(keys.file(), ": ", what));
}

Result<void> check_features(const GgufFields& keys) {
    LAP_ASSIGN(const int32_t per_layer, keys.integer("embedding_length_per_layer_input", 0));
    if (per_layer > 0) return unsupported(keys, "it has per-layer embeddings, as Gemma 4 E2B and E4B do");
    LAP_ASSIGN(const int32_t experts, keys.integer("expert_count", 0));
    if (experts > 0) return unsupported(keys, concat("it is a mixture of ", experts, " experts"));
    LAP_ASSIGN(const int32_t shared, keys.integer("attention.shared_kv_layers", 0));
    if (shared > 0) return unsupported(keys, concat(shared, " layers share keys and values of others"));
    return {};
}

// true for sliding layers: a list, a period (the last of each period is full), or the family's default of 6.
Result<std::vector<bool>> read_pattern(const GgufFields& keys, int32_t count) {
    constexpr const char* kKey = "attention.sliding_window_pattern";
    std::vector<bool> sliding(static_cast<size_t>(count));
    const auto* value = keys.get(kKey);
    if (value && value->type == runtime::GgufType::array) {
        LAP_ASSIGN(const auto list, keys.integers(kKey));
        if (list.size() != sliding.size())
            return keys.wrong(kKey, concat("one entry for each of the ", count, " layers").c_str());
        for (size_t i = 0; i < sliding.size(); i++) sliding[i] = list[i] != 0;
        return sliding;
    }
    LAP_ASSIGN(const int32_t period, keys.integer(kKey, 6));
    if (period < 1) return keys.wrong(kKey, "a period from 1");
    for (size_t i = 0; i < sliding.size(); i++) sliding[i] = (i + 1) % static_cast<size_t>(period) != 0;
    if (!value) sliding.back() = false;
    return sliding;
}

// The specification's default: the width shared out among the heads.
Result<int32_t> read_head_size(const GgufFields& keys, const ModelConfig& config) {
    return keys.integer("attention.key_length", config.hidden / std::max(config.heads, 1));
}

Result<void> read_layers(const Gguf& gguf, const GgufFields& keys, int32_t count, ModelConfig& config) {
    LAP_ASSIGN(const std::vector<bool> sliding, read_pattern(keys, count));
    LAP_ASSIGN(const auto kv_heads, keys.per_layer("attention.head_count_kv", count, config.heads));
    LAP_ASSIGN(const int32_t full_dim, read_head_size(keys, config));
    LAP_ASSIGN(const int32_t full_value, keys.integer("attention.value_length", full_dim));
    LAP_ASSIGN(const int32_t sliding_dim, keys.integer("attention.key_length_swa", full_dim));
    LAP_ASSIGN(const int32_t sliding_value, keys.integer("attention.value_length_swa", sliding_dim));
    if (full_value != full_dim || sliding_value != sliding_dim)
        return unsupported(keys, "its keys and values have different head sizes");
    for (size_t i = 0; i < sliding.size(); i++) {
        LayerConfig layer;
        layer.kind = sliding[i] ? LayerKind::sliding : LayerKind::full;
        layer.kv_heads = kv_heads[i];
        layer.head_dim = sliding[i] ? sliding_dim : full_dim;
        layer.k_eq_v = gguf.find_tensor(concat("blk.", i, ".attn_v.weight")) == nullptr;
        config.layers.push_back(layer);
    }
    return {};
}

// rope_freqs divides the frequencies of full layers: 1 leaves a pair as it is, 1e30 stops it. Only a run of
// ones followed by a run of stops has a form in RopeConfig.
Result<int32_t> read_rotating_pairs(const Gguf& gguf, const GgufFields& keys, int32_t head_dim) {
    if (gguf.extent == runtime::Extent::front) return 0;  // whoever opened it so turns nothing
    const FileTensor* tensor = gguf.find_tensor("rope_freqs.weight");
    if (!tensor)
        return Error{Errc::bad_model_file, concat(keys.file(), ": tensor 'rope_freqs.weight' is missing"),
                     "convert the model again with a current converter"};
    if (!tensor->foreign_type.empty() || tensor->format != runtime::Format::f32 ||
        tensor->shape != std::vector<int64_t>{head_dim / 2})
        return Error{Errc::bad_model_file, concat(keys.file(), ": tensor 'rope_freqs.weight' is ", shape_text(tensor->shape),
                                                  " in ", tensor->type(), ", expected [", head_dim / 2, "] in f32")};
    const std::byte* from = host_bytes(*gguf.parts[tensor->part].buffer) + tensor->offset;
    int32_t pairs = 0;
    for (int32_t i = 0; i < head_dim / 2; i++) {
        float factor;
        std::memcpy(&factor, from + static_cast<size_t>(i) * sizeof factor, sizeof factor);
        const bool stopped = factor > 1e29f;
        if (!stopped && (factor != 1.0f || pairs != i))
            return unsupported(keys, concat("rope_freqs has the factor ", factor, " at ", i));
        if (!stopped) pairs++;
    }
    return pairs;
}

Result<void> read_ropes(const Gguf& gguf, const GgufFields& keys, ModelConfig& config) {
    LAP_ASSIGN(config.full_rope.theta, keys.number("rope.freq_base", 1000000.0));
    LAP_ASSIGN(config.sliding_rope.theta, keys.number("rope.freq_base_swa", 10000.0));
    LAP_ASSIGN(const std::string scaling, keys.text("rope.scaling.type", "none"));
    if (scaling != "none" && scaling != "linear" && scaling != "default")  // linear by the factor, which must be 1
        return unsupported(keys, concat("its rotary embedding is scaled: ", in_quotes(scaling)));
    LAP_ASSIGN(const int32_t full_dim, read_head_size(keys, config));
    LAP_ASSIGN(const int32_t sliding_dim, keys.integer("attention.key_length_swa", full_dim));
    LAP_ASSIGN(const int32_t full_turned, keys.integer("rope.dimension_count", full_dim));
    LAP_ASSIGN(const int32_t sliding_turned, keys.integer("rope.dimension_count_swa", sliding_dim));
    if (full_turned != full_dim || sliding_turned != sliding_dim)
        return unsupported(keys, concat("rope.dimension_count is ", full_turned, " and ", sliding_turned,
                                        ", the head sizes are ", full_dim, " and ", sliding_dim));
    config.sliding_rope.pairs = sliding_dim / 2;
    const bool has_full = std::any_of(config.layers.begin(), config.layers.end(),
                                      [](const auto& layer) { return layer.kind == LayerKind::full; });
    if (!has_full) return {};
    LAP_ASSIGN(config.full_rope.pairs, read_rotating_pairs(gguf, keys, full_dim));
    return {};
}

SamplingDefaults read_sampling(const GgufFields& general, const SamplingDefaults& published,
                               std::vector<std::string>& notes) {
    return usable_sampling({general.number("general.sampling.temp", published.temperature),
                            general.number("general.sampling.top_p", published.top_p),
                            general.number("general.sampling.min_p", published.min_p),
                            general.integer("general.sampling.top_k", published.top_k)},
                           general.file(), notes);
}

// For people only, so that a value of another type is a note.
std::string read_name(const Gguf& gguf, const GgufFields& general, std::vector<std::string>& notes) {
    const std::string own = gguf.parts.front().path.stem().string();
    auto name = general.text("general.name", own);
    if (!name) notes.push_back(name.error().message + "; the file's name is used");
    return name ? *name : own;
}

// rows of a tensor whose last dimension is known
Result<const FileTensor*> matrix(const Gguf& gguf, const GgufFields& keys, const char* name) {
    const FileTensor* tensor = gguf.find_tensor(name);
    if (!tensor || tensor->shape.size() < 2)
        return Error{Errc::bad_model_file,
                     concat(keys.file(), ": the matrix ", in_quotes(name), tensor ? " has no rows" : " is missing"),
                     "convert the model again with a current converter"};
    return tensor;
}

int32_t extent(int64_t value) { return static_cast<int32_t>(std::min<int64_t>(value, INT32_MAX)); }

// Rows of the embedding. Without the tensors it may lie in another part, or nowhere: then there is one for each token.
Result<int32_t> read_vocabulary_size(const Gguf& gguf, const GgufFields& keys) {
    const auto* tokens = gguf.find("tokenizer.ggml.tokens");
    if (gguf.extent == runtime::Extent::front && tokens && !gguf.find_tensor("token_embd.weight"))
        return extent(static_cast<int64_t>(std::min<uint64_t>(tokens->count, INT32_MAX)));
    LAP_ASSIGN(const FileTensor* embed, matrix(gguf, keys, "token_embd.weight"));
    return extent(embed->shape[0]);
}

// Ids that end a reply, whatever the vocabulary's texts say: what llama.cpp takes for such.
constexpr const char* kStopKeys[] = {"eos_token_id",     "eot_token_id",     "eom_token_id",
                                     "fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id"};

Result<void> read_ids(const Gguf& gguf, ModelConfig& config, std::vector<std::string>& notes) {
    const GgufFields tokens(gguf, "tokenizer.ggml.");
    LAP_ASSIGN(config.ids.bos, tokens.id("bos_token_id", config.vocab, notes));
    LAP_ASSIGN(config.ids.pad, tokens.id("padding_token_id", config.vocab, notes));
    for (const char* key : kStopKeys) {
        LAP_ASSIGN(const int32_t id, tokens.id(key, config.vocab, notes));
        const auto& known = config.stop_ids;
        if (id >= 0 && std::find(known.begin(), known.end(), id) == known.end()) config.stop_ids.push_back(id);
    }
    LAP_ASSIGN(const auto suppressed, tokens.integers("suppress_tokens"));
    size_t outside = 0;
    for (const int32_t id : suppressed) {
        if (id >= 0 && id < config.vocab)
            config.suppress_ids.push_back(id);
        else
            outside++;
    }
    if (outside > 0)
        notes.push_back(concat("'tokenizer.ggml.suppress_tokens' names ", outside, " ids outside the ", config.vocab,
                               " tokens of the model; they are not used"));
    return {};
}

constexpr const char* kPatches = "v.patch_embd.weight";
constexpr const char* kFrames = "mm.a.input_projection.weight";

// How pictures become rows, by keys that begin as those of `vision` do.
Result<VisionConfig> read_vision(const Gguf& gguf, const GgufFields& general, const GgufFields& vision) {
    VisionConfig out;
    out.planar = true;
    LAP_ASSIGN(out.patch_size, vision.integer("patch_size", 16));
    LAP_ASSIGN(out.pooling, vision.integer("projector.scale_factor", 3));
    const int64_t pixels = static_cast<int64_t>(out.patch_size) * out.pooling;
    out.model_patch = pixels > 0 && pixels <= 1024 ? static_cast<int32_t>(pixels) : 0;
    LAP_ASSIGN(const double eps, vision.number("attention.layer_norm_epsilon", 1e-6));
    out.rms_eps = static_cast<float>(eps);
    LAP_ASSIGN(const FileTensor* dense, matrix(gguf, general, kPatches));
    LAP_ASSIGN(const FileTensor* table, matrix(gguf, general, "v.position_embd.weight"));
    out.embed_dim = extent(dense->shape[0]);
    out.positions = extent(table->shape[table->shape.size() - 2]);
    return out;
}

// The same of sound.
Result<AudioConfig> read_audio(const Gguf& gguf, const GgufFields& general, const GgufFields& audio) {
    AudioConfig out;
    LAP_ASSIGN(const FileTensor* projection, matrix(gguf, general, kFrames));
    out.samples_per_token = extent(projection->shape.back());
    LAP_ASSIGN(const double eps, audio.number("attention.layer_norm_epsilon", 1e-6));
    out.rms_eps = static_cast<float>(eps);
    return out;
}

}  // namespace

Result<ModelConfig> read_gguf_config(const Gguf& gguf, std::vector<std::string>& notes) {
    const GgufFields general(gguf, ""), keys(gguf, "gemma4.");
    LAP_TRY(require_text_model(gguf));
    LAP_TRY(check_features(keys));
    LAP_TRY(check_gguf_keys(gguf, notes));
    ModelConfig config;
    config.name = read_name(gguf, general, notes);
    LAP_ASSIGN(config.hidden, keys.integer("embedding_length"));
    LAP_ASSIGN(config.context, keys.integer("context_length"));
    LAP_ASSIGN(config.window, keys.integer("attention.sliding_window"));
    LAP_ASSIGN(const int32_t count, keys.integer("block_count"));
    if (count < 1 || count > kMaxLayers) return keys.wrong("block_count", "1 to 1024");
    LAP_ASSIGN(const auto ffn, keys.per_layer("feed_forward_length", count));
    LAP_ASSIGN(const auto heads, keys.per_layer("attention.head_count", count));
    config.ffn = ffn.front();
    config.heads = heads.front();
    for (size_t i = 0; i < ffn.size(); i++)
        if (ffn[i] != config.ffn || heads[i] != config.heads)
            return unsupported(keys, concat("layer ", i, " has another feed-forward size or number of heads"));
    LAP_ASSIGN(const double eps, keys.number("attention.layer_norm_rms_epsilon", 1e-6));
    LAP_ASSIGN(const double cap, keys.number("final_logit_softcapping", 30.0));  // as other readers assume
    config.rms_eps = static_cast<float>(eps);
    config.soft_cap = static_cast<float>(cap);
    LAP_ASSIGN(config.vocab, read_vocabulary_size(gguf, keys));
    LAP_ASSIGN(const int32_t named_vocab, keys.integer("vocab_size", config.vocab));
    if (named_vocab != config.vocab)
        notes.push_back(concat("'gemma4.vocab_size' is ", named_vocab, ", the embedding has ", config.vocab, " rows"));
    LAP_TRY(read_layers(gguf, keys, count, config));
    LAP_TRY(read_ropes(gguf, keys, config));
    config.sampling = read_sampling(general, config.sampling, notes);
    LAP_TRY(read_ids(gguf, config, notes));
    return config;
}

Result<void> read_inner_projector(const Gguf& gguf, ModelConfig& config) {
    const GgufFields general(gguf, ""), vision(gguf, "gemma4.vision."), audio(gguf, "gemma4.audio.");
    for (const FileTensor& tensor : gguf.tensors)
        if (tensor.name.starts_with("v.blk.") || tensor.name.starts_with("a.blk."))
            return unsupported(general, concat("it has encoders for pictures or sound (", in_quotes(tensor.name), "), as other sizes of Gemma 4 do"));
    if (gguf.find_tensor(kPatches)) {
        LAP_ASSIGN(config.vision, read_vision(gguf, general, vision));
    }
    if (gguf.find_tensor(kFrames)) {
        LAP_ASSIGN(config.audio, read_audio(gguf, general, audio));
    }
    return {};
}

Result<void> read_projector_config(const Gguf& projector, ModelConfig& config) {
    const GgufFields general(projector, ""), clip(projector, "clip."), vision(projector, "clip.vision."),
        audio(projector, "clip.audio.");
    LAP_ASSIGN(const std::string architecture, general.text("general.architecture", ""));
    if (architecture != "clip")
        return Error{Errc::unsupported_model,
                     concat(general.file(), ": this is no projector, its architecture is ", in_quotes(architecture)),
                     "give the projector file as EngineOptions::mmproj"};
    LAP_ASSIGN(const bool has_vision, clip.boolean("has_vision_encoder", false));
    LAP_ASSIGN(const bool has_audio, clip.boolean("has_audio_encoder", false));
    LAP_ASSIGN(const std::string shared_type, clip.text("projector_type", ""));
    if (!has_vision && !has_audio) return unsupported(general, "the projector has neither vision nor audio");
    if (has_vision) {
        LAP_ASSIGN(const std::string type, vision.text("projector_type", shared_type));
        if (type != "gemma4uv")
            return unsupported(general, concat("the projector's vision type is ", in_quotes(type), ", not 'gemma4uv'"));
        LAP_ASSIGN(config.vision, read_vision(projector, general, vision));
    }
    if (has_audio) {
        LAP_ASSIGN(const std::string type, audio.text("projector_type", shared_type));
        if (type != "gemma4ua")
            return unsupported(general, concat("the projector's audio type is ", in_quotes(type), ", not 'gemma4ua'"));
        LAP_ASSIGN(config.audio, read_audio(projector, general, audio));
    }
    return {};
}

}  // namespace lapidary::model
