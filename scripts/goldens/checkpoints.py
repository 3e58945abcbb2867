"""Random checkpoints of the real class in odd shapes, saved as Hugging Face folders.

Each shape is there for a reason, given beside it. The weights are random but not small: attention is far from
uniform, the soft cap bends, the suppressed ids would win if nobody suppressed them.
"""
import json
import math
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import (Gemma4UnifiedAudioConfig, Gemma4UnifiedConfig, Gemma4UnifiedForConditionalGeneration,
                          Gemma4UnifiedTextConfig, Gemma4UnifiedVisionConfig, GenerationConfig)

from .environment import OUT, TINY

S, F = "sliding_attention", "full_attention"

SHAPES = {
    # The layout most like the 12B: keys reused as values, one KV head in full layers, patches of 48 pixels. Five
    # layers: the pattern never reaches its first full layer, only the forced last one is full.
    "five_layers": dict(
        seed=11, dtype=torch.bfloat16, sliding_window=9, num_hidden_layers=5, hidden_size=96, intermediate_size=160,
        num_attention_heads=6, num_key_value_heads=3, head_dim=16, num_global_key_value_heads=1, global_head_dim=32,
        attention_k_eq_v=True, partial_rotary_factor=0.25, final_logit_softcapping=30.0, patch_size=16,
        mm_embed_dim=96, audio_embed_dim=640),
    # Released form of config.json and of the tensor names; two KV heads in full layers; half of the pairs rotate;
    # the embedder is wider than the decoder.
    "old_form": dict(
        seed=23, dtype=torch.bfloat16, sliding_window=16, num_hidden_layers=7, hidden_size=64, intermediate_size=176,
        num_attention_heads=6, num_key_value_heads=2, head_dim=32, num_global_key_value_heads=2, global_head_dim=64,
        attention_k_eq_v=True, partial_rotary_factor=0.5, final_logit_softcapping=15.0, patch_size=8,
        mm_embed_dim=80, audio_embed_dim=160, old_form=True),
    # Full layers with a v_proj of their own and as many KV heads as the sliding ones; no soft cap; f16; in shards.
    "sharded": dict(
        seed=33, dtype=torch.float16, sliding_window=37, num_hidden_layers=13, hidden_size=64, intermediate_size=112,
        num_attention_heads=6, num_key_value_heads=3, head_dim=48, num_global_key_value_heads=None,
        global_head_dim=32, attention_k_eq_v=False, partial_rotary_factor=0.25, final_logit_softcapping=None,
        patch_size=4, mm_embed_dim=64, audio_embed_dim=160, shard_bytes="800KB"),
    # Irregular layer types starting with a full one; f32; window larger than a picture's block, shorter than the
    # prompts; other RoPE bases; five heads on one KV head; the embedders' tensors under the names of the module.
    "full_first": dict(
        seed=44, dtype=torch.float32, sliding_window=100, num_hidden_layers=4, hidden_size=48, intermediate_size=96,
        num_attention_heads=5, num_key_value_heads=1, head_dim=32, num_global_key_value_heads=1, global_head_dim=64,
        attention_k_eq_v=True, partial_rotary_factor=0.5, final_logit_softcapping=30.0, patch_size=8,
        mm_embed_dim=48, audio_embed_dim=640, layer_types=[F, S, S, F], thetas=(5.0e3, 2.0e5), nested_names=True),
    # No pictures, no sound, and everything that has a default is left out of config.json: layer types, RoPE, global
    # head size (512) and KV heads, soft cap; the end of sequence is a plain number.
    "text_defaults": dict(
        seed=55, dtype=torch.bfloat16, sliding_window=21, num_hidden_layers=8, hidden_size=40, intermediate_size=88,
        num_attention_heads=2, num_key_value_heads=1, head_dim=32, num_global_key_value_heads=None,
        global_head_dim=512, attention_k_eq_v=True, partial_rotary_factor=0.25, final_logit_softcapping=None,
        text_only=True),
}

POSITION_ROWS = 80  # more than the longest side of a 70-token picture
SPECIAL_IDS = ("audio_token_id", "boa_token_id", "eoa_token_index", "boi_token_id", "eoi_token_id", "image_token_id",
               "video_token_id")
PLACEHOLDERS = ("image_token_id", "audio_token_id", "video_token_id")


def _config(shape, tiny):
    theta_sliding, theta_full = shape.get("thetas", (1.0e4, 1.0e6))
    text_fields = ("sliding_window", "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
                   "num_key_value_heads", "head_dim", "num_global_key_value_heads", "global_head_dim",
                   "attention_k_eq_v", "final_logit_softcapping")
    text = Gemma4UnifiedTextConfig(
        vocab_size=tiny["text_config"]["vocab_size"], max_position_embeddings=4096,
        layer_types=list(shape["layer_types"]) if "layer_types" in shape else None,
        rope_parameters={
            S: {"rope_type": "default", "rope_theta": theta_sliding},
            F: {"rope_type": "proportional", "rope_theta": theta_full,
                "partial_rotary_factor": shape["partial_rotary_factor"]}},
        **{field: shape[field] for field in text_fields})
    media = {} if shape.get("text_only") else _media_config(shape)
    return Gemma4UnifiedConfig(text_config=text, eos_token_id=tiny["eos_token_id"], **media,
                               **{key: tiny[key] for key in SPECIAL_IDS})


def _media_config(shape):
    vision = Gemma4UnifiedVisionConfig(
        patch_size=shape["patch_size"], pooling_kernel_size=3, mm_embed_dim=shape["mm_embed_dim"],
        output_proj_dims=shape["mm_embed_dim"], mm_posemb_size=POSITION_ROWS)
    audio = Gemma4UnifiedAudioConfig(audio_embed_dim=shape["audio_embed_dim"])
    return {"vision_config": vision, "audio_config": audio}


def _randomise(model, seed, suppressed, placeholders):
    """Variance-keeping matrices, norms around one, scores q.k with a deviation of about 1.6, logits of about 6."""
    generator = torch.Generator().manual_seed(seed)
    randn = lambda tensor: torch.randn(tensor.shape, generator=generator)
    state = model.state_dict()
    for name in sorted(state):
        tensor = state[name]
        if name == "lm_head.weight":
            continue  # tied to the embedding
        if name.endswith("layer_scalar"):
            value = 0.3 + 0.9 * torch.rand(tensor.shape, generator=generator)
        elif name.endswith(("q_norm.weight", "k_norm.weight")):
            value = (1 + 0.2 * randn(tensor)) * 1.25 * tensor.shape[0] ** -0.25
        elif name.endswith("language_model.norm.weight"):
            value = (1 + 0.2 * randn(tensor)) * torch.sign(randn(tensor))  # or every answer would repeat its last id
        elif name.endswith("embed_tokens.weight"):
            value = randn(tensor) * 6 / math.sqrt(tensor.shape[1])
            value[suppressed] *= 4  # these rows win often, as the folded end markers of the real model do
            value[placeholders] *= 0.05  # never generated: what a generated placeholder embeds as is undefined
        elif name.endswith("pos_embedding"):
            value = randn(tensor) * 0.5
        elif name.endswith(".bias"):
            value = randn(tensor) * 0.3
        elif tensor.dim() == 1:
            value = 1 + 0.2 * randn(tensor)
        else:
            value = randn(tensor) / math.sqrt(tensor.shape[1])
        tensor.copy_(value)


def _write_processor(folder, shape, tiny_processor):
    processor = json.loads(json.dumps(tiny_processor))
    for part in ("image_processor", "video_processor"):
        processor[part]["patch_size"] = shape["patch_size"]
    samples = shape["audio_embed_dim"]
    processor["feature_extractor"].update(feature_size=samples, audio_samples_per_token=samples)
    processor["audio_ms_per_token"] = samples * 1000 // processor["feature_extractor"]["sampling_rate"]
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n")


def _to_old_form(folder, shape):
    """config.json as released: global_* fields instead of per_layer_config, and the fields save_pretrained drops."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text = config["text_config"]
    del text["per_layer_config"]
    text["global_head_dim"] = shape["global_head_dim"]
    text["num_global_key_value_heads"] = shape["num_global_key_value_heads"]
    config["vision_config"]["model_patch_size"] = shape["patch_size"] * 3
    config["audio_config"]["hidden_size"] = config["audio_config"]["output_proj_dims"] = shape["audio_embed_dim"]
    path.write_text(json.dumps(config, indent=2) + "\n")


def _to_defaults(folder):
    """Leaves out of config.json what readers must know by themselves."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for field in ("layer_types", "rope_parameters", "per_layer_config", "final_logit_softcapping", "rms_norm_eps",
                  "use_bidirectional_attention", "hidden_activation", "num_kv_shared_layers", "use_double_wide_mlp"):
        config["text_config"].pop(field, None)
    for field in ("vision_config", "audio_config"):
        config.pop(field, None)
    config["eos_token_id"] = 1
    path.write_text(json.dumps(config, indent=2) + "\n")


def _to_nested_names(folder):
    """The names of the module itself: save_pretrained writes the published ones, yet both load."""
    path = folder / "model.safetensors"
    renamed = {}
    for name, tensor in load_file(path).items():
        name = name.replace("model.embed_vision.", "model.embed_vision.multimodal_embedder.")
        renamed[name.replace("model.vision_embedder.", "model.embed_vision.")] = tensor
    save_file(renamed, path, metadata={"format": "pt"})


def write(name):
    """Builds checkpoint `name` and saves it; returns its folder."""
    shape = SHAPES[name]
    folder = OUT / name
    if folder.exists():
        shutil.rmtree(folder)
    tiny = json.loads((TINY / "config.json").read_text())
    generation = json.loads((TINY / "generation_config.json").read_text())
    model = Gemma4UnifiedForConditionalGeneration(_config(shape, tiny))
    with torch.no_grad():
        _randomise(model, shape["seed"], generation["suppress_tokens"], [tiny[key] for key in PLACEHOLDERS])
    generation.pop("transformers_version")
    model.generation_config = GenerationConfig(**generation)
    model.to(shape["dtype"]).save_pretrained(folder, max_shard_size=shape.get("shard_bytes", "1GB"))
    if shape.get("old_form"):
        _to_old_form(folder, shape)
    if shape.get("nested_names"):
        _to_nested_names(folder)
    if shape.get("text_only"):
        _to_defaults(folder)
    else:
        _write_processor(folder, shape, json.loads((TINY / "processor_config.json").read_text()))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(TINY / file, folder / file)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder
