// Fills Weights from a TensorSource: every tensor is found by name, compared with the config's shape, and
// either viewed where it lies (matrices) or converted to f32 (norms, biases, position tables, scalars).
#pragma once

#include <string>

#include "lapidary/result.h"
#include "model/config.h"
#include "model/load/tensor_source.h"
#include "model/weights.h"

namespace lapidary::model {

// How one container calls the parts. Layer names follow layer_prefix + number + ".".
struct TensorNames {
    const char* layer_prefix;
    const char *embed, *final_norm;
    const char *attn_norm, *post_attn_norm, *ffn_norm, *post_ffn_norm;
    const char *q, *k, *v, *o, *q_norm, *k_norm;
    const char *gate, *up, *down, *scale;
    const char *vision_ln1, *vision_dense, *vision_ln2, *vision_positions, *vision_pos_norm,
        *vision_projection;
    const char* audio_projection;
};
extern const TensorNames kHfNames;    // without model.language_model.
extern const TensorNames kGgufNames;  // of the text file and the projector

// The views keep nothing alive but what ends up in `weights.buffers`. With `convert` false everything is
// checked and nothing is read: `weights` stays empty but for its byte count.
Result<void> bind_text(TensorSource& source, const TensorNames& names, const ModelConfig& config,
                       bool convert, Weights& weights);
Result<void> bind_media(TensorSource& source, const TensorNames& names, const ModelConfig& config,
                        bool convert, Weights& weights);

// Gives `weights` a share in every file that a tensor was taken from.
void keep_files(const TensorSource& source, Weights& weights);

// Of a tensor that would take part in the computation, and here does not.
Error no_place_for(const SourceTensor& tensor);

// An error when the file has a tensor in a layer that was not used: the model would compute something else.
Result<void> refuse_unused_layers(const TensorSource& source, const TensorNames& names);

}  // namespace lapidary::model
