// Sizes and names; see plan.h. The names are those that the loader asks for (bind.h).
#include "model/synth/plan.h"

#include <cmath>

#include "base/describe.h"
#include "model/load/bind.h"
#include "model/load/config_check.h"

namespace lapidary::model {

using kernels::Format;

SynthShape synth_shape(SynthPreset preset, int layers) {
    SynthShape shape = preset == SynthPreset::full_12b ? SynthShape{3840, 15360, 16, 8, 1, 256, 512, 48, 262144, 1024}
                       : preset == SynthPreset::tiny   ? SynthShape{256, 768, 4, 2, 1, 64, 128, 12, 1024, 64}
                                                       : SynthShape{256, 768, 2, 1, 1, 256, 512, 48, 1024, 64};
    if (layers > 0) shape.layers = layers;
    return shape;
}

float synth_value(const SynthTensor& tensor, float normal) {
    if (tensor.fill == SynthFill::scale) return kSynthScale;
    const float value = 1.0f + kSynthNormDeviation * normal;
    if (tensor.fill != SynthFill::head_norm) return value;
    return value * std::pow(static_cast<float>(tensor.shape[0]), -0.25f);
}

namespace {

// The embedding is the head too and stays finer in quantised files, as published ones keep it.
Format format_of(SynthFill fill, const SynthOptions& options) {
    if (options.format == SynthContainer::hf) return options.type;
    if (fill == SynthFill::matrix) return options.type;
    if (fill != SynthFill::embedding) return Format::f32;
    const bool small = options.type == Format::q4_0 || options.type == Format::q4_k;
    return small ? Format::q6_k : options.type;
}

}  // namespace

std::vector<SynthTensor> synth_tensors(const SynthShape& shape, const SynthOptions& options) {
    const std::string root = "model.language_model.";
    const int64_t hidden = shape.hidden, ffn = shape.ffn;
    std::vector<SynthTensor> list;
    const auto put = [&](std::string name, std::string hf_name, std::vector<int64_t> extents,
                         SynthFill fill) {
        SynthTensor& t = list.emplace_back();
        t.name = std::move(name);
        t.hf_name = std::move(hf_name);
        t.shape = std::move(extents);
        t.fill = fill;
        t.format = format_of(fill, options);
        t.bytes = t.bytes_as(t.format, t.layout);
    };
    put(kGgufNames.embed, root + kHfNames.embed, {shape.vocab, hidden}, SynthFill::embedding);
    put(kGgufNames.final_norm, root + kHfNames.final_norm, {hidden}, SynthFill::norm);
    put("rope_freqs.weight", "", {shape.full_head_dim / 2}, SynthFill::rotation);
    for (int32_t i = 0; i < shape.layers; i++) {
        const bool sliding = shape.sliding(i);
        const int64_t head = sliding ? shape.head_dim : shape.full_head_dim;
        const int64_t q_rows = head * shape.heads,
                      kv_rows = head * (sliding ? shape.kv_heads : shape.full_kv_heads);
        const auto add = [&](const char* TensorNames::*part, std::vector<int64_t> extents, SynthFill fill) {
            put(concat(kGgufNames.layer_prefix, i, ".", kGgufNames.*part),
                concat(root, kHfNames.layer_prefix, i, ".", kHfNames.*part), std::move(extents), fill);
        };
        for (const auto part : {&TensorNames::attn_norm, &TensorNames::post_attn_norm, &TensorNames::ffn_norm,
                                &TensorNames::post_ffn_norm})
            add(part, {hidden}, SynthFill::norm);
        add(&TensorNames::q_norm, {head}, SynthFill::head_norm);
        add(&TensorNames::k_norm, {head}, SynthFill::head_norm);
        add(&TensorNames::scale, {1}, SynthFill::scale);
        add(&TensorNames::q, {q_rows, hidden}, SynthFill::matrix);
        add(&TensorNames::k, {kv_rows, hidden}, SynthFill::matrix);
        if (sliding) add(&TensorNames::v, {kv_rows, hidden}, SynthFill::matrix);
        add(&TensorNames::o, {hidden, q_rows}, SynthFill::matrix);
        add(&TensorNames::gate, {ffn, hidden}, SynthFill::matrix);
        add(&TensorNames::up, {ffn, hidden}, SynthFill::matrix);
        add(&TensorNames::down, {hidden, ffn}, SynthFill::matrix);
    }
    return list;
}

Result<void> check_synth_options(const SynthOptions& options) {
    if (options.layers < 0 || options.layers > kMaxLayers)
        return Error{Errc::invalid_argument,
                     concat("a synthetic model of ", options.layers, " layers was asked for"),
                     concat("use 1 to ", kMaxLayers, ", or 0 for the preset's number")};
    const Format type = options.type;
    const bool float_type = type == Format::bf16 || type == Format::f16;
    if (options.format == SynthContainer::hf && !float_type)
        return Error{Errc::invalid_argument,
                     concat("a Hugging Face folder cannot be written in ", kernels::name(type)),
                     "use bf16 or f16"};
    const bool block_type =
        type == Format::q4_0 || type == Format::q8_0 || type == Format::q4_k || type == Format::q6_k;
    if (!float_type && !block_type)
        return Error{Errc::invalid_argument,
                     concat("synthetic weights cannot be written in ", kernels::name(type)),
                     "use q4_0, q8_0, q4_k, q6_k, bf16 or f16"};
    return {};
}

}  // namespace lapidary::model
