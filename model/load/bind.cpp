// Names, shapes and conversions of all tensors; see bind.h.
#include "model/load/bind.h"

#include <cmath>
#include <cstring>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/half.h"
#include "kernels/panels.h"
#include "model/load/config_check.h"
#include "model/load/float_store.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/mapping.h"

namespace lapidary::model {

const TensorNames kHfNames = {
    .layer_prefix = "layers.",
    .embed = "embed_tokens.weight",
    .final_norm = "norm.weight",
    .attn_norm = "input_layernorm.weight",
    .post_attn_norm = "post_attention_layernorm.weight",
    .ffn_norm = "pre_feedforward_layernorm.weight",
    .post_ffn_norm = "post_feedforward_layernorm.weight",
    .q = "self_attn.q_proj.weight",
    .k = "self_attn.k_proj.weight",
    .v = "self_attn.v_proj.weight",
    .o = "self_attn.o_proj.weight",
    .q_norm = "self_attn.q_norm.weight",
    .k_norm = "self_attn.k_norm.weight",
    .gate = "mlp.gate_proj.weight",
    .up = "mlp.up_proj.weight",
    .down = "mlp.down_proj.weight",
    .scale = "layer_scalar",
    .vision_ln1 = "vision_embedder.patch_ln1",
    .vision_dense = "vision_embedder.patch_dense",
    .vision_ln2 = "vision_embedder.patch_ln2",
    .vision_positions = "vision_embedder.pos_embedding",
    .vision_pos_norm = "vision_embedder.pos_norm",
    .vision_projection = "embed_vision.embedding_projection.weight",
    .audio_projection = "embed_audio.embedding_projection.weight",
};

const TensorNames kGgufNames = {
    .layer_prefix = "blk.",
    .embed = "token_embd.weight",
    .final_norm = "output_norm.weight",
    .attn_norm = "attn_norm.weight",
    .post_attn_norm = "post_attention_norm.weight",
    .ffn_norm = "ffn_norm.weight",
    .post_ffn_norm = "post_ffw_norm.weight",
    .q = "attn_q.weight",
    .k = "attn_k.weight",
    .v = "attn_v.weight",
    .o = "attn_output.weight",
    .q_norm = "attn_q_norm.weight",
    .k_norm = "attn_k_norm.weight",
    .gate = "ffn_gate.weight",
    .up = "ffn_up.weight",
    .down = "ffn_down.weight",
    .scale = "layer_output_scale.weight",
    .vision_ln1 = "v.patch_norm.1",
    .vision_dense = "v.patch_embd",
    .vision_ln2 = "v.patch_norm.2",
    .vision_positions = "v.position_embd.weight",
    .vision_pos_norm = "v.patch_norm.3",
    .vision_projection = "mm.input_projection.weight",
    .audio_projection = "mm.a.input_projection.weight",
};

namespace {

class Binder {
  public:
    // `panels`: whether what matrices of this part are multiplied with knows panels.
    Binder(TensorSource& source, bool convert, bool panels, Weights& weights)
        : source_(source), convert_(convert), panels_(panels), floats_(weights.buffers) {}

    // A matrix stays where it lies, unless it is not aligned to its numbers: then it is copied.
    Result<void> matrix(const std::string& name, int64_t rows, int64_t cols, TensorView& target) {
        LAP_ASSIGN(const SourceTensor* tensor, take(name, {rows, cols}));
        if (cols % kernels::block_values(tensor->format) != 0) return shape_error(*tensor, {rows, cols});
        if (tensor->layout == runtime::Layout::panels && !panels_)
            return Error{Errc::bad_model_file,
                         concat("tensor ", in_quotes(tensor->name), " in ", in_quotes(tensor->file.string()),
                                " lies in panels, which only the embedding and the layers may"),
                         "pack the model again"};
        if (!convert_) return {};
        const size_t number = kernels::is_quantised(tensor->format)
                                  ? 2
                                  : static_cast<size_t>(kernels::block_bytes(tensor->format));
        if (tensor->offset % number == 0) {
            target = runtime::view(tensor->buffer, tensor->format, rows, cols, tensor->offset);
            if (tensor->layout == runtime::Layout::panels) {
                target.layout = tensor->layout;
                target.row_bytes = kernels::panel_bytes(tensor->format, cols) / kernels::kPanel;
            }
        } else {
            target = floats_.copy(tensor->format, rows, cols, host_bytes(*tensor->buffer) + tensor->offset);
        }
        return {};
    }

    // A norm weight or bias: [count], widened to f32.
    Result<void> vector(const std::string& name, int64_t count, TensorView& target) {
        LAP_ASSIGN(const SourceTensor* tensor, take(name, {count}));
        LAP_TRY(require_float(*tensor));
        if (!convert_) return {};
        target = floats_.allocate(1, count);
        widen(*tensor, 0, count, host_floats(target));
        return {};
    }

    // layer_scalar; a checkpoint without one has 1.
    Result<void> scalar(const std::string& name, float& target) {
        if (!source_.find(name)) return {};
        LAP_ASSIGN(const SourceTensor* tensor, source_.take(name));
        if (!tensor->shape.empty() && tensor->shape != std::vector<int64_t>{1})
            return shape_error(*tensor, {1});
        LAP_TRY(require_float(*tensor));
        widen(*tensor, 0, 1, &target);
        if (!std::isfinite(target))
            return Error{Errc::bad_model_file, concat("tensor ", in_quotes(tensor->name), " is not finite")};
        return {};
    }

    // One table per axis: [2][positions][width] when planar, else [positions][2][width].
    Result<void> positions(const std::string& name, const VisionConfig& vision, VisionWeights& target) {
        const int64_t count = vision.positions, width = vision.embed_dim;
        LAP_ASSIGN(const SourceTensor* tensor,
                   take(name, vision.planar ? std::vector<int64_t>{2, count, width}
                                            : std::vector<int64_t>{count, 2, width}));
        LAP_TRY(require_float(*tensor));
        if (!convert_) return {};
        for (int axis = 0; axis < 2; axis++) {
            TensorView& table = axis == 0 ? target.pos_x : target.pos_y;
            table = floats_.allocate(count, width);
            for (int64_t row = 0; row < count; row++) {
                const int64_t source_row = vision.planar ? axis * count + row : row * 2 + axis;
                widen(*tensor, source_row * width, width, host_floats(table, row));
            }
        }
        return {};
    }

  private:
    static Error shape_error(const SourceTensor& tensor, const std::vector<int64_t>& expected) {
        return {Errc::bad_model_file,
                concat("tensor ", in_quotes(tensor.name), " in ", in_quotes(tensor.file.string()), " has shape ",
                       shape_text(tensor.shape), ", the configuration asks for ", shape_text(expected)),
                "the files may belong to different models"};
    }

    Result<const SourceTensor*> take(const std::string& name, std::vector<int64_t> shape) {
        LAP_ASSIGN(const SourceTensor* tensor, source_.take(name));
        if (tensor->shape != shape) return shape_error(*tensor, shape);
        return tensor;
    }

    static Result<void> require_float(const SourceTensor& tensor) {
        if (!kernels::is_quantised(tensor.format)) return {};
        return Error{Errc::unsupported_model,
                     concat("tensor ", in_quotes(tensor.name), " is quantised to ", kernels::name(tensor.format),
                            "; norms, biases and tables are read in f32, f16 or bf16")};
    }

    static void widen(const SourceTensor& tensor, int64_t first, int64_t count, float* out) {
        const auto width = static_cast<size_t>(kernels::block_bytes(tensor.format));
        const std::byte* from =
            host_bytes(*tensor.buffer) + tensor.offset + static_cast<size_t>(first) * width;
        runtime::read_alone(from, static_cast<size_t>(count) * width);  // matrices lie around them, of which a plan reads nothing
        for (int64_t i = 0; i < count; i++, from += width) {
            if (tensor.format == runtime::Format::f32)
                std::memcpy(out + i, from, sizeof(float));
            else if (tensor.format == runtime::Format::f16)
                out[i] = kernels::half_to_float(kernels::load_u16(from));
            else
                out[i] = kernels::bfloat_to_float(kernels::load_u16(from));
        }
    }

    TensorSource& source_;
    bool convert_, panels_;
    FloatStore floats_;
};

Result<void> bind_layer(Binder& bind, const TensorNames& names, const ModelConfig& config, size_t index,
                        LayerWeights& layer) {
    const LayerConfig& shape = config.layers[index];
    const std::string prefix = concat(names.layer_prefix, index, ".");
    const int64_t hidden = config.hidden;
    const int64_t q_rows = int64_t{config.heads} * shape.head_dim,
                  kv_rows = int64_t{shape.kv_heads} * shape.head_dim;
    LAP_TRY(bind.vector(prefix + names.attn_norm, hidden, layer.attn_norm));
    LAP_TRY(bind.vector(prefix + names.post_attn_norm, hidden, layer.post_attn_norm));
    LAP_TRY(bind.vector(prefix + names.ffn_norm, hidden, layer.ffn_norm));
    LAP_TRY(bind.vector(prefix + names.post_ffn_norm, hidden, layer.post_ffn_norm));
    LAP_TRY(bind.matrix(prefix + names.q, q_rows, hidden, layer.q));
    LAP_TRY(bind.matrix(prefix + names.k, kv_rows, hidden, layer.k));
    if (!shape.k_eq_v) LAP_TRY(bind.matrix(prefix + names.v, kv_rows, hidden, layer.v));
    LAP_TRY(bind.matrix(prefix + names.o, hidden, q_rows, layer.o));
    LAP_TRY(bind.vector(prefix + names.q_norm, shape.head_dim, layer.q_norm));
    LAP_TRY(bind.vector(prefix + names.k_norm, shape.head_dim, layer.k_norm));
    LAP_TRY(bind.matrix(prefix + names.gate, config.ffn, hidden, layer.gate));
    LAP_TRY(bind.matrix(prefix + names.up, config.ffn, hidden, layer.up));
    LAP_TRY(bind.matrix(prefix + names.down, hidden, config.ffn, layer.down));
    return bind.scalar(prefix + names.scale, layer.scale);
}

// name.weight and name.bias.
Result<void> bind_pair(Binder& bind, const char* name, int64_t count, TensorView& weight, TensorView& bias) {
    LAP_TRY(bind.vector(concat(name, ".weight"), count, weight));
    return bind.vector(concat(name, ".bias"), count, bias);
}

Result<void> bind_vision(Binder& bind, const TensorNames& names, const ModelConfig& config,
                         VisionWeights& weights) {
    const VisionConfig& vision = *config.vision;
    const int64_t patch = vision.patch_values(), width = vision.embed_dim;
    LAP_TRY(bind_pair(bind, names.vision_ln1, patch, weights.ln1_w, weights.ln1_b));
    LAP_TRY(bind.matrix(concat(names.vision_dense, ".weight"), width, patch, weights.dense));
    LAP_TRY(bind.vector(concat(names.vision_dense, ".bias"), width, weights.dense_b));
    LAP_TRY(bind_pair(bind, names.vision_ln2, width, weights.ln2_w, weights.ln2_b));
    LAP_TRY(bind.positions(names.vision_positions, vision, weights));
    LAP_TRY(bind_pair(bind, names.vision_pos_norm, width, weights.pos_norm_w, weights.pos_norm_b));
    return bind.matrix(names.vision_projection, config.hidden, width, weights.projection);
}

}  // namespace

Result<void> bind_text(TensorSource& source, const TensorNames& names, const ModelConfig& config,
                       bool convert, Weights& weights) {
    Binder bind(source, convert, /*panels=*/true, weights);
    weights.layers.resize(config.layers.size());
    LAP_TRY(bind.matrix(names.embed, config.vocab, config.hidden, weights.embed));
    LAP_TRY(bind.vector(names.final_norm, config.hidden, weights.final_norm));
    for (size_t i = 0; i < config.layers.size(); i++)
        LAP_TRY(bind_layer(bind, names, config, i, weights.layers[i]));
    if (!convert) weights.layers.clear();
    return {};
}

Result<void> bind_media(TensorSource& source, const TensorNames& names, const ModelConfig& config,
                        bool convert, Weights& weights) {
    Binder bind(source, convert, /*panels=*/false, weights);
    if (config.vision) LAP_TRY(bind_vision(bind, names, config, weights.vision));
    if (config.audio)
        LAP_TRY(bind.matrix(names.audio_projection, config.hidden, config.audio->samples_per_token,
                            weights.audio.projection));
    return {};
}

void keep_files(const TensorSource& source, Weights& weights) {
    const runtime::BufferData* last = nullptr;
    for (const SourceTensor& tensor : source.all()) {
        if (!tensor.used || tensor.buffer.get() == last) continue;
        last = tensor.buffer.get();
        weights.buffers.push_back(tensor.buffer);
    }
}

Error no_place_for(const SourceTensor& tensor) {
    return other_architecture(concat("tensor ", in_quotes(tensor.name), " in ", in_quotes(tensor.file.string()),
                                     " has no place in this architecture"));
}

Result<void> refuse_unused_layers(const TensorSource& source, const TensorNames& names) {
    for (const SourceTensor& tensor : source.all())
        if (!tensor.used && tensor.bytes > 0 && tensor.key.starts_with(names.layer_prefix)) return no_place_for(tensor);
    return {};
}

}  // namespace lapidary::model
