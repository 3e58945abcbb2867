// What a synthetic model consists of: sizes of the presets and the list of all tensors with both their names.
#pragma once

#include <string>
#include <vector>

#include "model/synth/synth.h"
#include "runtime/file/file_tensor.h"

namespace lapidary::model {

struct SynthShape {
    int32_t hidden, ffn, heads, kv_heads, full_kv_heads, head_dim, full_head_dim, layers, vocab, window;
    bool sliding(int32_t layer) const { return (layer + 1) % 6 != 0 && layer + 1 != layers; }
};
SynthShape synth_shape(SynthPreset preset, int layers);

enum class SynthFill : uint8_t { embedding, matrix, norm, head_norm, scale, rotation };

struct SynthTensor : runtime::FileTensor {  // named as in GGUF
    std::string hf_name;                    // empty: not in this container
    SynthFill fill = SynthFill::matrix;
};
// In the formats that the options ask for.
std::vector<SynthTensor> synth_tensors(const SynthShape& shape, const SynthOptions& options);

// One value of a norm or a scale. The norms of queries and keys lie around head_dim^(-1/4), so that scores have
// a deviation of about 1: at 1 they would have sqrt(head_dim), softmax would pick single positions, and twelve
// such layers amplify the last bit to the whole range.
float synth_value(const SynthTensor& tensor, float normal);

// Of the values: logits stay finite and differ from token to token.
inline constexpr float kSynthDeviation = 0.02f, kSynthNormDeviation = 0.05f, kSynthScale = 0.5f;

// invalid_argument for impossible layers, types and combinations.
Result<void> check_synth_options(const SynthOptions& options);

}  // namespace lapidary::model
