// The smallest complete models, as GGUF text file, projector, and Hugging Face folder, a few KB each: two
// layers (one sliding, one full with keys as values), hidden 8. Tests break them in one place at a time.
#pragma once

#include <string>
#include <vector>

#include "tests/support/gguf_builder.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/scratch_folder.h"

namespace lapidary::test {

constexpr int kSmallVocab = 292;

inline std::vector<std::string> small_pieces() {
    std::vector<std::string> pieces = {"<pad>",     "<eos>",    "<bos>",     "<unk>",           "<|turn>",
                                       "<turn|>",   "<|image>", "<|image|>", "<image|>",        "<|audio>",
                                       "<|audio|>", "<audio|>", "<|video|>", "<|tool_response>"};
    constexpr char kHex[] = "0123456789ABCDEF";
    for (int i = 0; i < 256; i++) pieces.push_back(std::string("<0x") + kHex[i / 16] + kHex[i % 16] + ">");
    for (char c = 'a'; pieces.size() < kSmallVocab - 1; c++) pieces.push_back(std::string(1, c));
    pieces.push_back("ab");
    return pieces;
}

inline void add_small_keys(GgufBuilder& b) {
    const std::string g = "gemma4.";
    b.text("general.architecture", "gemma4").text("general.name", "small").u32("general.alignment", 32);
    b.u32(g + "block_count", 2).u32(g + "context_length", 64).u32(g + "embedding_length", 8);
    b.u32(g + "feed_forward_length", 16)
        .u32(g + "attention.head_count", 2)
        .ints(g + "attention.head_count_kv", {2, 1});
    b.u32(g + "attention.key_length", 8).u32(g + "attention.value_length", 8);
    b.u32(g + "attention.key_length_swa", 4).u32(g + "attention.value_length_swa", 4);
    b.f32(g + "attention.layer_norm_rms_epsilon", 1e-6f).u32(g + "attention.sliding_window", 16);
    b.bools(g + "attention.sliding_window_pattern", {true, false}).u32(g + "attention.shared_kv_layers", 0);
    b.u32(g + "embedding_length_per_layer_input", 0).f32(g + "final_logit_softcapping", 30);
    b.f32(g + "rope.freq_base", 1e6f).f32(g + "rope.freq_base_swa", 1e4f);
    b.u32(g + "rope.dimension_count", 8).u32(g + "rope.dimension_count_swa", 4);
}

inline void add_small_tokenizer(GgufBuilder& b) {
    const auto pieces = small_pieces();
    std::vector<int32_t> types;
    for (size_t i = 0; i < pieces.size(); i++) types.push_back(i < 14 ? 3 : i < 14 + 256 ? 6 : 1);
    const std::string t = "tokenizer.ggml.";
    b.text(t + "model", "gemma4").strings(t + "tokens", pieces).ints(t + "token_type", types);
    b.strings(t + "merges", {"a b"}).u32(t + "bos_token_id", 2).u32(t + "eos_token_id", 1);
    b.u32(t + "unknown_token_id", 3).u32(t + "padding_token_id", 0).boolean(t + "add_bos_token", true);
}

inline GgufBuilder small_gguf() {
    GgufBuilder b;
    add_small_keys(b);
    add_small_tokenizer(b);
    b.floats("output_norm.weight", {8}, 1);
    b.tensors.push_back(
        {"rope_freqs.weight", {4}, 0, bytes_of(1.0f) + bytes_of(1e30f) + bytes_of(1e30f) + bytes_of(1e30f)});
    b.tensors.push_back({"token_embd.weight", {8, kSmallVocab}, 1, std::string(8 * kSmallVocab * 2, '\0')});
    for (uint64_t i = 0; i < 2; i++) {
        const std::string p = "blk." + std::to_string(i) + ".";
        const uint64_t head = i == 0 ? 4 : 8, kv = i == 0 ? 2 : 1;
        for (const char* norm : {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"})
            b.floats(p + norm + ".weight", {8}, 1);
        b.floats(p + "attn_q_norm.weight", {head}, 1).floats(p + "attn_k_norm.weight", {head}, 1);
        b.floats(p + "attn_q.weight", {8, 2 * head}, 0.5f).floats(p + "attn_k.weight", {8, kv * head}, 0.5f);
        if (i == 0) b.floats(p + "attn_v.weight", {8, kv * head}, 0.5f);
        b.floats(p + "attn_output.weight", {2 * head, 8}, 0.5f);
        b.floats(p + "ffn_gate.weight", {8, 16}, 0.5f).floats(p + "ffn_up.weight", {8, 16}, 0.5f);
        b.floats(p + "ffn_down.weight", {16, 8}, 0.5f).floats(p + "layer_output_scale.weight", {1}, 0.25f);
    }
    return b;
}

// patch 2, pooling 2: 4 x 4 pixels x 3 = 48 values; vision width 6, 5 positions; 10 samples per token
inline GgufBuilder small_projector() {
    GgufBuilder b;
    b.text("general.architecture", "clip")
        .boolean("clip.has_vision_encoder", true)
        .boolean("clip.has_audio_encoder", true);
    b.text("clip.vision.projector_type", "gemma4uv").text("clip.audio.projector_type", "gemma4ua");
    b.u32("clip.vision.patch_size", 2).u32("clip.vision.projector.scale_factor", 2);
    b.u32("clip.vision.attention.head_count", 0).u32("clip.audio.num_mel_bins", 128);
    b.f32("clip.vision.attention.layer_norm_epsilon", 1e-6f);
    for (const char* part : {"weight", "bias"}) {
        b.floats(std::string("v.patch_norm.1.") + part, {48}, 1);
        b.floats(std::string("v.patch_norm.2.") + part, {6}, 1);
        b.floats(std::string("v.patch_norm.3.") + part, {6}, 1);
    }
    b.floats("v.patch_embd.weight", {48, 6}, 0.5f).floats("v.patch_embd.bias", {6}, 0);
    std::string table;  // value = 100 * axis + 10 * position + column
    for (int axis = 0; axis < 2; axis++)
        for (int position = 0; position < 5; position++)
            for (int column = 0; column < 6; column++)
                table += bytes_of(static_cast<float>(100 * axis + 10 * position + column));
    b.tensors.push_back({"v.position_embd.weight", {6, 5, 2}, 0, table});
    b.floats("mm.input_projection.weight", {6, 8}, 0.5f)
        .floats("mm.a.input_projection.weight", {10, 8}, 0.5f);
    return b;
}

inline const char* small_config_json() {
    return R"({"architectures": ["Gemma4UnifiedForConditionalGeneration"], "model_type": "gemma4_unified",
 "eos_token_id": [1, 5],
 "vision_config": {"patch_size": 2, "pooling_kernel_size": 2, "model_patch_size": 4, "mm_embed_dim": 6,
                   "mm_posemb_size": 5},
 "audio_config": {"audio_embed_dim": 10},
 "text_config": {"model_type": "gemma4_unified_text", "vocab_size": 292, "hidden_size": 8, "intermediate_size": 16,
   "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 4,
   "num_global_key_value_heads": 1, "global_head_dim": 8, "attention_k_eq_v": true, "sliding_window": 16,
   "max_position_embeddings": 64, "final_logit_softcapping": 30.0,
   "layer_types": ["sliding_attention", "full_attention"]}})";
}

inline SafetensorsBuilder small_safetensors(const std::string& prefix = "model.language_model.") {
    SafetensorsBuilder b;
    b.floats(prefix + "embed_tokens.weight", {kSmallVocab, 8}, 0.5f).floats(prefix + "norm.weight", {8}, 1);
    for (int i = 0; i < 2; i++) {
        const std::string p = prefix + "layers." + std::to_string(i) + ".";
        const int64_t head = i == 0 ? 4 : 8, kv = i == 0 ? 2 : 1;
        for (const char* norm : {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                                 "post_feedforward_layernorm"})
            b.floats(p + norm + ".weight", {8}, 1);
        b.floats(p + "self_attn.q_norm.weight", {head}, 1).floats(p + "self_attn.k_norm.weight", {head}, 1);
        b.floats(p + "self_attn.q_proj.weight", {2 * head, 8}, 0.5f)
            .floats(p + "self_attn.k_proj.weight", {kv * head, 8}, 0.5f);
        if (i == 0) b.floats(p + "self_attn.v_proj.weight", {kv * head, 8}, 0.5f);
        b.floats(p + "self_attn.o_proj.weight", {8, 2 * head}, 0.5f)
            .floats(p + "mlp.gate_proj.weight", {16, 8}, 0.5f);
        b.floats(p + "mlp.up_proj.weight", {16, 8}, 0.5f).floats(p + "mlp.down_proj.weight", {8, 16}, 0.5f);
        b.floats(p + "layer_scalar", {1}, 0.25f);
    }
    return b;
}

inline void add_small_media(SafetensorsBuilder& b) {
    const std::string v = "model.vision_embedder.";
    for (const char* part : {".weight", ".bias"}) {
        b.floats(v + "patch_ln1" + part, {48}, 1).floats(v + "patch_ln2" + part, {6}, 1);
        b.floats(v + "pos_norm" + part, {6}, 1);
    }
    b.floats(v + "patch_dense.weight", {6, 48}, 0.5f).floats(v + "patch_dense.bias", {6}, 0);
    std::string table;  // value = 100 * axis + 10 * position + column
    for (int position = 0; position < 5; position++)
        for (int axis = 0; axis < 2; axis++)
            for (int column = 0; column < 6; column++)
                table += bytes_of(static_cast<float>(100 * axis + 10 * position + column));
    b.tensor(v + "pos_embedding", "F32", {5, 2, 6}, table);
    b.floats("model.embed_vision.embedding_projection.weight", {8, 6}, 0.5f);
    b.floats("model.embed_audio.embedding_projection.weight", {8, 10}, 0.5f);
}

// config.json and model.safetensors; no tokenizer.
inline void write_small_folder(const ScratchFolder& folder, const std::string& config = small_config_json()) {
    SafetensorsBuilder tensors = small_safetensors();
    add_small_media(tensors);
    folder.write("config.json", config);
    folder.write("model.safetensors", tensors.build());
}

}  // namespace lapidary::test
