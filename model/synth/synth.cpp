// Writes the plan of plan.h, filled from random.h, as GGUF or as a Hugging Face folder.
#include "model/synth/synth.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/half.h"
#include "model/load/config_check.h"
#include "model/synth/plan.h"
#include "model/synth/random.h"
#include "runtime/file/gguf_writer.h"

namespace lapidary::model {
namespace {

using kernels::Format;

constexpr uint64_t kMaxShardBytes = 5000000000;

// Fills tensors one after the other, counts, and asks the caller whether to go on.
class Filler {
  public:
    Filler(const SynthOptions& options, uint64_t total_bytes)
        : options_(options), total_bytes_(total_bytes) {}

    Result<void> fill(const SynthTensor& tensor, const SynthSink& sink) {
        const SynthSink counting = [&](const std::byte* bytes, size_t count) -> Result<void> {
            LAP_TRY(sink(bytes, count));
            done_bytes_ += count;
            if (options_.progress && !options_.progress(done_bytes_, total_bytes_))
                return Error{Errc::cancelled, "writing the synthetic model was cancelled"};
            return {};
        };
        if (tensor.fill != SynthFill::matrix && tensor.fill != SynthFill::embedding)
            return fill_floats(tensor, counting);
        const auto seed = 11 + static_cast<uint64_t>(tensor.format);
        const auto pool = pools_.try_emplace(tensor.format, tensor.format, kSynthDeviation, seed).first;
        return pool->second.tensor(tensor.bytes, counting);
    }

  private:
    Result<void> fill_floats(const SynthTensor& tensor, const SynthSink& sink) {
        std::vector<std::byte> bytes(tensor.bytes);
        const size_t width = bytes.size() / static_cast<size_t>(tensor.values());
        for (int64_t i = 0; i < tensor.values(); i++) {
            const float value = tensor.fill != SynthFill::rotation ? synth_value(tensor, random_.normal())
                                : i < tensor.values() / 4          ? 1.0f    // a quarter of the pairs turns,
                                                                   : 1e30f;  // the others stand still
            const uint16_t narrow =
                tensor.format == Format::f16 ? kernels::float_to_half(value) : to_bfloat(value);
            std::memcpy(bytes.data() + static_cast<size_t>(i) * width,
                        tensor.format == Format::f32 ? static_cast<const void*>(&value) : &narrow, width);
        }
        return sink(bytes.data(), bytes.size());
    }

    const SynthOptions& options_;
    uint64_t total_bytes_, done_bytes_ = 0;
    SynthRandom random_{7};
    std::map<Format, BlockPool> pools_;
};

// general.file_type: llama.cpp's numbers for whole files.
uint32_t file_type(Format format) {
    switch (format) {
        case Format::f16: return 1;
        case Format::q4_0: return 2;
        case Format::q8_0: return 7;
        case Format::q4_k: return 14;
        case Format::q6_k: return 18;
        default: return 32;
    }
}

void add_model_keys(runtime::GgufWriter& out, const SynthShape& shape, Format type) {
    const auto number = [&](const char* key, int32_t value) {
        out.add(concat("gemma4.", key), static_cast<uint32_t>(value));
    };
    out.add_text("general.architecture", "gemma4");
    out.add_text("general.type", "model");
    out.add_text("general.name", "synthetic gemma 4");
    out.add_text("general.description", "random weights, written by lapidary synth");
    out.add("general.file_type", file_type(type));
    out.add("general.quantization_version", uint32_t{2});
    out.add("general.alignment", uint32_t{32});
    std::vector<int32_t> kv_heads;
    std::vector<bool> sliding;
    for (int32_t i = 0; i < shape.layers; i++) {
        sliding.push_back(shape.sliding(i));
        kv_heads.push_back(sliding.back() ? shape.kv_heads : shape.full_kv_heads);
    }
    number("context_length", kSynthContext);
    number("embedding_length", shape.hidden);
    number("block_count", shape.layers);
    number("feed_forward_length", shape.ffn);
    number("attention.head_count", shape.heads);
    out.add_list("gemma4.attention.head_count_kv", kv_heads);
    out.add("gemma4.attention.layer_norm_rms_epsilon", 1e-6f);
    number("attention.key_length", shape.full_head_dim);
    number("attention.value_length", shape.full_head_dim);
    number("attention.key_length_swa", shape.head_dim);
    number("attention.value_length_swa", shape.head_dim);
    number("attention.sliding_window", shape.window);
    out.add_flags("gemma4.attention.sliding_window_pattern", sliding);
    number("attention.shared_kv_layers", 0);
    number("embedding_length_per_layer_input", 0);
    number("rope.dimension_count", shape.full_head_dim);
    number("rope.dimension_count_swa", shape.head_dim);
    out.add("gemma4.rope.freq_base", 1e6f);
    out.add("gemma4.rope.freq_base_swa", 1e4f);
    out.add("gemma4.final_logit_softcapping", 30.0f);
    number("vocab_size", shape.vocab);
}

// A placeholder that every engine accepts: specials, the 256 byte tokens, made-up pieces. Its kind is
// "llama" on purpose: nobody should take its texts for Gemma's.
void add_tokenizer_keys(runtime::GgufWriter& out, const SynthShape& shape) {
    std::vector<std::string> pieces = {"<pad>", "<eos>", "<bos>", "<unk>"};
    std::vector<int32_t> types = {3, 3, 3, 2};
    for (int i = 0; i < 256; i++) {
        char text[8];
        std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(i));
        pieces.push_back(text);
        types.push_back(6);
    }
    std::vector<float> scores;
    for (int32_t i = 0; i < shape.vocab; i++) scores.push_back(-static_cast<float>(i));
    for (int32_t i = 0; static_cast<int32_t>(pieces.size()) < shape.vocab; i++) {
        pieces.push_back(concat("\u2581w", i));
        types.push_back(1);
    }
    out.add_text("tokenizer.ggml.model", "llama");
    out.add_texts("tokenizer.ggml.tokens", pieces);
    out.add_list("tokenizer.ggml.scores", scores);
    out.add_list("tokenizer.ggml.token_type", types);
    out.add("tokenizer.ggml.bos_token_id", uint32_t{2});
    out.add("tokenizer.ggml.eos_token_id", uint32_t{1});
    out.add("tokenizer.ggml.unknown_token_id", uint32_t{3});
    out.add("tokenizer.ggml.padding_token_id", uint32_t{0});
    out.add_flag("tokenizer.ggml.add_bos_token", true);
    out.add_flag("tokenizer.ggml.add_space_prefix", false);
}

uint64_t total_bytes(const std::vector<SynthTensor>& tensors, const SynthOptions& options) {
    uint64_t bytes = 0;
    for (const SynthTensor& tensor : tensors)
        if (options.format == SynthContainer::gguf || !tensor.hf_name.empty()) bytes += tensor.bytes;
    return bytes;
}

Result<void> write_gguf(const SynthOptions& options, const SynthShape& shape,
                        const std::vector<SynthTensor>& tensors) {
    runtime::GgufWriter out;
    add_model_keys(out, shape, options.type);
    add_tokenizer_keys(out, shape);
    for (const SynthTensor& tensor : tensors) out.add_tensor(tensor);
    LAP_TRY(out.start(options.out));
    Filler filler(options, total_bytes(tensors, options));
    for (const SynthTensor& tensor : tensors)
        LAP_TRY(filler.fill(tensor,
                            [&](const std::byte* bytes, size_t count) { return out.write(bytes, count); }));
    return out.finish();
}

nlohmann::json hf_config(const SynthShape& shape, Format type) {
    const char* dtype = type == Format::f16 ? "float16" : "bfloat16";
    nlohmann::json text = {{"model_type", "gemma4_unified_text"},
                           {"vocab_size", shape.vocab},
                           {"hidden_size", shape.hidden},
                           {"intermediate_size", shape.ffn},
                           {"num_hidden_layers", shape.layers},
                           {"num_attention_heads", shape.heads},
                           {"num_key_value_heads", shape.kv_heads},
                           {"num_global_key_value_heads", shape.full_kv_heads},
                           {"head_dim", shape.head_dim},
                           {"global_head_dim", shape.full_head_dim},
                           {"attention_k_eq_v", true},
                           {"attention_bias", false},
                           {"hidden_activation", "gelu_pytorch_tanh"},
                           {"max_position_embeddings", kSynthContext},
                           {"rms_norm_eps", 1e-6},
                           {"sliding_window", shape.window},
                           {"final_logit_softcapping", 30.0},
                           {"use_bidirectional_attention", "vision"},
                           {"num_kv_shared_layers", 0},
                           {"tie_word_embeddings", true},
                           {"pad_token_id", 0},
                           {"eos_token_id", 1},
                           {"bos_token_id", 2},
                           {"dtype", dtype}};
    for (int32_t i = 0; i < shape.layers; i++)
        text["layer_types"].push_back(shape.sliding(i) ? "sliding_attention" : "full_attention");
    text["rope_parameters"]["sliding_attention"] = {{"rope_type", "default"}, {"rope_theta", 10000.0}};
    text["rope_parameters"]["full_attention"] = {
        {"rope_type", "proportional"}, {"rope_theta", 1000000.0}, {"partial_rotary_factor", 0.25}};
    return {{"architectures", {"Gemma4UnifiedForConditionalGeneration"}},
            {"model_type", "gemma4_unified"},
            {"dtype", dtype},
            {"tie_word_embeddings", true},
            {"eos_token_id", {1}},
            {"text_config", text}};
}

// Whole tensors, in order, until the next would not fit.
std::vector<std::vector<const SynthTensor*>> split_shards(const std::vector<SynthTensor>& tensors) {
    std::vector<std::vector<const SynthTensor*>> shards(1);
    uint64_t bytes = 0;
    for (const SynthTensor& tensor : tensors) {
        if (tensor.hf_name.empty()) continue;
        if (bytes > 0 && bytes + tensor.bytes > kMaxShardBytes) {
            shards.emplace_back();
            bytes = 0;
        }
        shards.back().push_back(&tensor);
        bytes += tensor.bytes;
    }
    return shards;
}

Result<void> write_json(const std::filesystem::path& path, const nlohmann::json& value) {
    LAP_ASSIGN(runtime::OutputFile out, runtime::OutputFile::create(path));
    const std::string text = value.dump(2) + "\n";
    LAP_TRY(out.write(text.data(), text.size()));
    return out.commit();
}

Result<void> write_shard(const std::filesystem::path& path, const std::vector<const SynthTensor*>& tensors,
                         Filler& filler) {
    nlohmann::json header;
    header["__metadata__"]["format"] = "pt";
    uint64_t at = 0;
    for (const SynthTensor* tensor : tensors) {
        const uint64_t end = at + tensor->bytes;
        header[tensor->hf_name] = {{"dtype", tensor->format == Format::f16 ? "F16" : "BF16"},
                                   {"shape", tensor->shape},
                                   {"data_offsets", {at, end}}};
        at = end;
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    const uint64_t length = text.size();
    LAP_ASSIGN(runtime::OutputFile out, runtime::OutputFile::create(path));
    LAP_TRY(out.write(&length, sizeof length));
    LAP_TRY(out.write(text.data(), text.size()));
    for (const SynthTensor* tensor : tensors)
        LAP_TRY(filler.fill(*tensor,
                            [&](const std::byte* bytes, size_t count) { return out.write(bytes, count); }));
    return out.commit();
}

Result<void> write_hf(const SynthOptions& options, const SynthShape& shape,
                      const std::vector<SynthTensor>& tensors) {
    LAP_ASSIGN(runtime::OutputFolder folder, runtime::OutputFolder::create(options.out));
    Filler filler(options, total_bytes(tensors, options));
    const auto shards = split_shards(tensors);
    nlohmann::json index;
    index["metadata"]["total_size"] = total_bytes(tensors, options);
    for (size_t i = 0; i < shards.size(); i++) {
        char name[48];
        std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
        for (const SynthTensor* tensor : shards[i]) index["weight_map"][tensor->hf_name] = name;
        LAP_TRY(write_shard(folder.path() / name, shards[i], filler));
    }
    LAP_TRY(write_json(folder.path() / "model.safetensors.index.json", index));
    LAP_TRY(write_json(folder.path() / "config.json", hf_config(shape, options.type)));
    LAP_TRY(write_json(folder.path() / "generation_config.json", {{"bos_token_id", 2},
                                                                  {"pad_token_id", 0},
                                                                  {"eos_token_id", {1}},
                                                                  {"do_sample", true},
                                                                  {"temperature", 1.0},
                                                                  {"top_k", 64},
                                                                  {"top_p", 0.95}}));
    return folder.commit();
}

}  // namespace

Result<void> write_synthetic(const SynthOptions& options) {
    LAP_TRY(check_synth_options(options));
    const SynthShape shape = synth_shape(options.preset, options.layers);
    const auto tensors = synth_tensors(shape, options);
    LAP_TRY(runtime::require_room(options.out, total_bytes(tensors, options)));
    return options.format == SynthContainer::gguf ? write_gguf(options, shape, tensors)
                                                  : write_hf(options, shape, tensors);
}

}  // namespace lapidary::model
