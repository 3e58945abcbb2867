// Every tensor of a checkpoint with its shape [rows, cols], as views into mapped files or owned buffers.
// D hidden, F ffn, V vocab, H heads, G kv heads and K head size of that layer, E vision width.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/tensor.h"

namespace lapidary::model {

using runtime::TensorView;

struct LayerWeights {
    TensorView attn_norm, post_attn_norm, ffn_norm, post_ffn_norm;  // [1, D] f32
    TensorView q;               // [H*K, D]
    TensorView k;               // [G*K, D]
    TensorView v;               // [G*K, D]; empty with k_eq_v
    TensorView o;               // [D, H*K]
    TensorView q_norm, k_norm;  // [1, K] f32
    TensorView gate, up;        // [F, D]
    TensorView down;            // [D, F]
    float scale = 1.0f;         // layer_scalar, of the whole residual
};

struct VisionWeights {
    TensorView ln1_w, ln1_b;    // [1, P] f32, P = model_patch^2 * 3
    TensorView dense, dense_b;  // [E, P], [1, E] f32
    TensorView ln2_w, ln2_b;    // [1, E] f32
    TensorView pos_x, pos_y;    // [positions, E] f32
    TensorView pos_norm_w, pos_norm_b;  // [1, E] f32
    TensorView projection;      // [D, E]
};

struct AudioWeights {
    TensorView projection;  // [D, samples_per_token]
};

struct Weights {
    TensorView embed;       // [V, D]; also the head
    TensorView final_norm;  // [1, D] f32
    std::vector<LayerWeights> layers;
    VisionWeights vision;   // used when the config has vision
    AudioWeights audio;
    std::vector<runtime::Buffer> buffers;  // keeps every view alive (mapped files, converted norms)
    uint64_t bytes = 0;     // of all tensors, in source format
    uint64_t identity = 0;  // of these tensors where they are placed (runtime::StepKey)
};

}  // namespace lapidary::model
