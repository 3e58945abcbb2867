"""Runs transformers on the checkpoints of checkpoints.py: logits, greedy continuations, soft tokens.

Masks: transformers' plain forward, and generate with its default cache, let a picture's tokens see each other in
every layer; generate with a static cache, and forward given the masks of create_masks_for_generate, only in the
sliding layers. The second is the ruling (it is what Google's own code does), so only those two paths are used,
and each checks the other.
"""
import torch
import numpy as np
from safetensors.numpy import save_file
from transformers import Gemma4UnifiedForConditionalGeneration, Gemma4UnifiedProcessor

from . import media
from .environment import OUT, TINY, crc32, write_json

STEPS = 64  # cached steps after the prefill
DECODE_STRIDE = 8  # every 8th of them is stored in full
TOP = 4  # of the others the best four
STORED_FEATURES = ("image_one", "audio_one")
STORED_HIDDEN = ("text_long", "mixed")

STORY = ("The weather in Paris is sunny today, and the capital of France is full of people. Monday comes before "
         "Tuesday; three plus four is seven, five plus six is eleven. A red circle, a blue square and a green "
         "triangle lie on the table. \"Who are you?\" asked the teacher.\nI am a tiny demo model. I can count: "
         "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.\n\nThen the old man told a story about the sea, the wind and a small boat that went away.")


def _turn(text):
    return f"<bos><|turn>user\n{text}<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"


CASES = {
    "text_short": dict(text="<bos>Hello"),
    "text_long": dict(text=_turn(STORY)),
    "image_one": dict(text=_turn("<|image|>Describe the picture."), images=["odd_61x47.png"]),
    "images_three": dict(text=_turn("First <|image|>then <|image|><|image|>Which one is red?"),
                         images=["alpha_37x51.png", "wide_33x200.png", "tall_131x97.png"]),
    "audio_one": dict(text=_turn("Write down what you hear.<|audio|>"), sounds=["chirp_4801.wav"]),
    "mixed": dict(text=_turn("Look: <|image|> listen: <|audio|> again <|image|>and <|audio|> now answer."),
                  images=["grey_45x83.png", "palette_40x72.png"], sounds=["hum_1999.wav", "chirp_4801.wav"]),
    "video": dict(text=_turn("<|video|>Where does the disc go?"),
                  frames=["frame_0.png", "frame_1.png", "frame_2.png"], fps=2.0),
}


def _inputs(processor, case):
    arguments = {}
    if "images" in case:
        arguments["images"] = [media.load_picture(name) for name in case["images"]]
    if "sounds" in case:
        arguments["audio"] = [media.load_sound(name) for name in case["sounds"]]
    if "frames" in case:
        count = len(case["frames"])
        frames = np.stack([np.asarray(media.load_picture(name)) for name in case["frames"]])
        arguments.update(videos=[frames], do_sample_frames=False, video_metadata=[
            dict(total_num_frames=count, fps=case["fps"], frames_indices=list(range(count)))])
    return processor(text=case["text"], return_tensors="pt", **arguments)


def _model_arguments(inputs):
    known = ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_position_ids",
             "input_features", "input_features_mask", "pixel_values_videos", "video_position_ids",
             "num_frames_per_video")
    return {key: inputs[key] for key in known if key in inputs}


def _forward(model, arguments, extra_ids, blocks="sliding"):
    """Uncached logits of prompt + extra_ids; blocks act in "sliding" layers only, in "all" layers, or in "no" layer."""
    arguments = dict(arguments)
    tail = torch.tensor([extra_ids], dtype=torch.long)
    zeros = torch.zeros_like(tail)
    ids = torch.cat([arguments["input_ids"], tail], 1)
    types = torch.cat([arguments["mm_token_type_ids"], zeros], 1)
    ones = torch.ones_like(ids)
    embeds = torch.zeros(1, ids.shape[1], model.config.text_config.hidden_size)
    positions = torch.arange(ids.shape[1])[None]
    seen = None if blocks == "no" else types
    masks = ones if blocks == "all" else model.create_masks_for_generate(model.config, embeds, ones, None, positions,
                                                                         seen, True)
    arguments.update(input_ids=ids, mm_token_type_ids=types, attention_mask=masks, position_ids=positions)
    return model(**arguments, use_cache=False).logits[0]


def _generate(model, arguments):
    """(ids, logits) of 1 + STEPS greedy tokens; suppressed ids are skipped, an end-of-turn id does not stop it."""
    result = model.generate(**arguments, max_new_tokens=STEPS + 1, do_sample=False, cache_implementation="static",
                            disable_compile=True, output_logits=True, return_dict_in_generate=True)
    ids = result.sequences[0, arguments["input_ids"].shape[1]:].tolist()
    return ids, torch.stack(result.logits)[:, 0]


def _top(logits):
    values, ids = torch.topk(logits, TOP)
    return ids.to(torch.int32).numpy(), values.numpy()


def _margin(logits, suppressed):
    """Smallest gap between the chosen token and the next one: how much rounding may differ before ids do."""
    logits = logits.clone()
    logits[:, suppressed] = -torch.inf
    best = torch.topk(logits, 2).values
    return float((best[:, 0] - best[:, 1]).min())


def _picture_facts(name, patches, positions, side):
    valid = (positions != -1).all(-1)
    patches = patches[valid].numpy()
    width, height = (positions[valid].max(0).values + 1).tolist()
    return {"file": name, "height": height * side, "width": width * side, "soft_tokens": len(patches),
            "crc32_patches_u8": crc32(np.round(patches * 255).astype(np.uint8)), "crc32_patches_f32": crc32(patches)}


def _media_facts(case, inputs, config):
    facts, side = {}, config.vision_config.model_patch_size if config.vision_config else None
    for key, values, places in (("images", "pixel_values", "image_position_ids"),
                                ("frames", "pixel_values_videos", "video_position_ids")):
        if key in case:
            patches, positions = (inputs[part].flatten(0, inputs[part].dim() - 3) for part in (values, places))
            facts[key] = [_picture_facts(*item, side) for item in zip(case[key], patches, positions)]
    if "sounds" in case:
        lengths = [len(media.load_sound(name)) for name in case["sounds"]]
        counts = inputs["input_features_mask"].sum(-1).tolist()
        facts["sounds"] = [{"file": name, "samples": samples, "soft_tokens": count}
                           for name, samples, count in zip(case["sounds"], lengths, counts)]
    if "fps" in case:
        facts["fps"] = case["fps"]
    return facts


def _features(model, arguments):
    """What a picture or a sound becomes on its way into the decoder: patches (two of them), frames, soft tokens."""
    if "pixel_values" in arguments:
        patches = arguments["pixel_values"][arguments["image_position_ids"][..., 0] >= 0]
        yield "patches_first_last", patches[[0, -1]].numpy()
        output = model.get_image_features(arguments["pixel_values"], arguments["image_position_ids"], return_dict=True)
        yield "image_features", torch.cat(output.pooler_output).numpy()
    if "input_features" in arguments:
        yield "audio_frames", arguments["input_features"][arguments["input_features_mask"]].numpy()
        output = model.model.get_audio_features(arguments["input_features"], arguments["input_features_mask"],
                                                return_dict=True)
        yield "audio_features", output.pooler_output[arguments["input_features_mask"]].numpy()


def _some_rows(prompt):
    return sorted({0, prompt // 3, 2 * prompt // 3, prompt - 2, prompt - 1} & set(range(prompt)))


def _run(model, processor, name, suppressed):
    case = CASES[name]
    inputs = _inputs(processor, case)
    arguments = _model_arguments(inputs)
    prompt = arguments["input_ids"].shape[1]
    ids, decoded = _generate(model, arguments)
    whole = _forward(model, arguments, ids[:-1])
    prefill, rest = whole[:prompt], whole[prompt:]
    difference = float((torch.cat([prefill[-1:], rest]) - decoded).abs().max())
    if difference > 1e-3:
        raise SystemExit(f"{name}: cached and whole-sequence logits differ by {difference}")
    margin = _margin(decoded, suppressed)
    if margin < 1e-3:
        raise SystemExit(f"{name}: greedy choice nearly a tie (gap {margin}): take another seed")
    special = [model.config.image_token_id, model.config.audio_token_id, model.config.video_token_id]
    if set(ids) & set(special + suppressed):
        raise SystemExit(f"{name}: a placeholder or a suppressed id was generated: {ids}")

    rows = _some_rows(prompt)
    steps = list(range(DECODE_STRIDE - 1, STEPS, DECODE_STRIDE))
    top_prefill, top_decode = _top(prefill), _top(decoded[1:])
    integers = lambda values: np.asarray(values, np.int32)
    tensors = {
        "input_ids": integers(arguments["input_ids"][0]),
        "token_types": integers(arguments["mm_token_type_ids"][0]),
        "output_ids": integers(ids),
        "prefill_rows": integers(rows), "prefill_logits": prefill[rows].numpy(),
        "prefill_top_ids": top_prefill[0], "prefill_top_logits": top_prefill[1],
        "decode_steps": integers(steps), "decode_logits": decoded[1:][steps].numpy(),
        "decode_top_ids": top_decode[0], "decode_top_logits": top_decode[1],
    }
    if name in STORED_FEATURES:
        tensors.update(_features(model, arguments))
    facts = {"name": name, "text": case["text"], **_media_facts(case, inputs, model.config), "prompt_tokens": prompt,
             "cached_minus_whole_max": difference, "smallest_greedy_margin": margin}
    if "images" in case or "frames" in case:  # a wrong mask must show: how much it would change the logits
        for wrong in ("all", "no"):
            other = _forward(model, arguments, ids[:-1], blocks=wrong)
            facts[f"blocks_in_{wrong}_layers_would_differ_by"] = float((other - whole).abs().max())
    return facts, {f"{name}.{key}": np.ascontiguousarray(value) for key, value in tensors.items()}


def _save(tensors, path):
    save_file(tensors, path)
    path.chmod(0o644)


def _load(folder):
    """(model, processor, the names of its cases)"""
    model = Gemma4UnifiedForConditionalGeneration.from_pretrained(folder, dtype=torch.float32,
                                                                  attn_implementation="eager").eval()
    with_media = (folder / "processor_config.json").exists()
    processor = Gemma4UnifiedProcessor.from_pretrained(folder if with_media else TINY)
    return model, processor, [name for name in CASES if with_media or name.startswith("text")]


@torch.no_grad()
def write_hidden(checkpoint):
    """Writes hidden.safetensors: the residual behind every layer, [layers, rows, hidden], of some prompt positions."""
    model, processor, names = _load(OUT / checkpoint)
    tensors, found = {}, []
    for layer in model.model.language_model.layers:
        layer.register_forward_hook(lambda _, __, out: found.append(out[0] if isinstance(out, tuple) else out))
    for name in names:
        if name not in STORED_HIDDEN:
            continue
        found.clear()
        arguments = _model_arguments(_inputs(processor, CASES[name]))
        _forward(model, arguments, [])
        rows = _some_rows(arguments["input_ids"].shape[1])
        tensors[f"{name}.rows"] = np.asarray(rows, np.int32)
        tensors[f"{name}.hidden"] = np.ascontiguousarray(torch.stack([x.reshape(-1, x.shape[-1])[rows] for x in found]).numpy())
    _save(tensors, OUT / checkpoint / "hidden.safetensors")
    return {name: value.shape for name, value in tensors.items()}


@torch.no_grad()
def write(checkpoint):
    """Runs all cases on one checkpoint; writes goldens.safetensors and goldens.json beside its weights."""
    folder = OUT / checkpoint
    model, processor, names = _load(folder)
    suppressed = list(model.generation_config.suppress_tokens)
    model.generation_config.eos_token_id = None  # 65 tokens, whatever they are
    cases, tensors = [], {}
    for name in names:
        facts, found = _run(model, processor, name, suppressed)
        cases.append(facts)
        tensors.update(found)
    _save(tensors, folder / "goldens.safetensors")
    write_json(folder / "goldens.json", {
        "checkpoint": checkpoint, "arithmetic": "float32 on the stored weights, eager attention",
        "vision_blocks": "sliding layers only", "suppressed_ids": suppressed, "cached_steps": STEPS}, cases=cases)
    return cases
