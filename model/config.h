// The hyper-parameters of one checkpoint, checked. Read from a Hugging Face folder (load/hf_config.cpp)
// or from GGUF metadata (load/gguf_config.cpp); everything downstream trusts it.
// Sources of every field: the transformers class Gemma4Unified* and llama.cpp's key names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lapidary::model {

enum class LayerKind : uint8_t { sliding, full };

struct LayerConfig {
    LayerKind kind = LayerKind::sliding;
    int32_t kv_heads = 0;
    int32_t head_dim = 0;
    bool k_eq_v = false;  // no v_proj: values are the raw k_proj output
};

// One of the two rotary embeddings: inverse frequency i is theta^(-2i/head_dim) for i < pairs, and the
// remaining pairs do not turn.
struct RopeConfig {
    double theta = 10000.0;
    int32_t pairs = 0;
};

struct VisionConfig {
    int32_t patch_size = 16;     // pixels, of the image processor's first stage
    int32_t pooling = 3;         // patches per side of one soft token
    int32_t model_patch = 48;    // pixels per side of one soft token = patch_size * pooling
    int32_t embed_dim = 0;       // width after patch_dense
    int32_t positions = 0;       // rows of the position table, per axis
    int32_t soft_tokens = 280;   // default budget per picture
    int32_t video_soft_tokens = 70;
    float rms_eps = 1e-6f;
    std::string problem = {};    // why pictures are refused although the model takes them; empty: they are not
    bool planar = false;         // patch vectors are RRR..GGG..BBB (GGUF) instead of RGBRGB (Hugging Face)
    int32_t patch_values() const { return model_patch * model_patch * 3; }
};

struct AudioConfig {
    int32_t samples_per_token = 640;
    int32_t sample_rate = 16000;
    float rms_eps = 1e-6f;
    std::string problem = {};    // as of pictures
};

struct TokenIds {  // -1: the checkpoint has none
    int32_t bos = 2, pad = 0;
    int32_t image = -1, begin_image = -1, end_image = -1;
    int32_t audio = -1, begin_audio = -1, end_audio = -1;
    int32_t video = -1;
};

// Sampling defaults: generation_config.json or general.sampling.*, else Gemma's published values.
struct SamplingDefaults {
    float temperature = 1.0f, top_p = 0.95f, min_p = 0.0f;
    int32_t top_k = 64;
};

struct ModelConfig {
    int32_t hidden = 0, ffn = 0, vocab = 0, heads = 0;
    int32_t context = 0;  // positions the checkpoint was made for
    int32_t window = 0;   // keys a sliding layer sees, the query itself included
    float rms_eps = 1e-6f;
    float soft_cap = 0;   // 0: none
    bool vision_blocks = true;  // use_bidirectional_attention == "vision"
    std::vector<LayerConfig> layers;
    RopeConfig sliding_rope, full_rope;
    std::optional<VisionConfig> vision;
    std::optional<AudioConfig> audio;
    TokenIds ids;
    std::vector<int32_t> stop_ids;      // ends a reply
    std::vector<int32_t> suppress_ids;  // never sampled
    SamplingDefaults sampling;
    int32_t video_frames = 32;
    std::string name;  // for people

    const RopeConfig& rope(LayerKind k) const { return k == LayerKind::sliding ? sliding_rope : full_rope; }
};

}  // namespace lapidary::model
