"""What transformers' processors make of odd pictures and sounds: sizes, counts, checksums of the resized bytes.

Pictures come from media.pattern, a formula any test can compute, or from the PNG files in media/.
"""
import numpy as np
from PIL import Image
from transformers import Gemma4UnifiedAudioFeatureExtractor, Gemma4UnifiedImageProcessor
from transformers.image_transforms import convert_to_rgb
from transformers.models.gemma4_unified.image_processing_gemma4_unified import get_aspect_ratio_preserving_size

from . import media
from .environment import OUT, crc32, write_json

BUDGETS = (70, 140, 280, 560, 1120)
# height, width: usual sizes, exact ratios where the last bit of the square root decides, slivers, single pixels
SIZES = [(480, 640), (3024, 4032), (1080, 1920), (512, 512), (3508, 2480), (1000, 3000), (100, 8000), (8000, 100),
         (672, 960), (340, 952), (440, 1232), (440, 616), (340, 476), (260, 182), (1, 1), (1, 2), (2, 1), (3, 211),
         (1, 100), (100, 1), (1, 5000), (5000, 1), (47, 48), (48, 48), (49, 47), (333, 777), (777, 333), (997, 61),
         (61, 997), (75, 100), (240, 320), (768, 1024), (720, 1280), (899, 901), (33, 4000), (17, 1201), (2785, 34),
         (70, 1), (71, 1), (10, 700), (10, 711), (12345, 6789), (1, 65535), (420, 1120), (1008, 720)]
# height, width, budget
RESIZED = [(100, 75, 70), (75, 100, 70), (240, 320, 70), (320, 240, 140), (480, 640, 280), (61, 997, 140), (1, 1, 70),
           (1, 2, 70), (2, 1, 140), (3, 211, 70), (211, 3, 280), (333, 777, 70), (777, 333, 140), (384, 384, 70),
           (432, 336, 70), (335, 431, 70), (1000, 1001, 70), (1500, 40, 140), (40, 1500, 280), (97, 131, 280),
           (641, 479, 560), (1200, 1600, 70), (899, 901, 140), (50, 3600, 70), (640, 480, 1120)]
# patch_size, height, width: model patches of 24 and 12 pixels
SMALL_PATCHES = [(8, 61, 47), (8, 200, 333), (8, 5, 901), (4, 61, 47), (4, 333, 200), (4, 1, 1)]
SAMPLES = [1, 2, 159, 160, 161, 639, 640, 641, 1279, 1280, 1281, 4801, 16000, 16001, 479999, 480000, 480001]


def target(height, width, budget, patch=16):
    """[height, width] after the resize, or transformers' message when it refuses the size."""
    try:
        return list(get_aspect_ratio_preserving_size(height, width, patch, budget * 9, 3))
    except ValueError as error:
        return str(error)


def resized(image, budget, patch=16):
    """Runs the image processor and reassembles the resized picture from its patches."""
    processor = Gemma4UnifiedImageProcessor(patch_size=patch, max_soft_tokens=budget, pooling_kernel_size=3)
    output = processor(images=[image], return_tensors="pt")
    positions = output["image_position_ids"][0]
    valid = (positions != -1).all(-1)
    patches = output["pixel_values"][0][valid].numpy()
    columns, rows = (positions[valid].max(0).values + 1).tolist()
    side = 3 * patch
    pixels = np.round(patches * 255).astype(np.uint8).reshape(rows, columns, side, side, 3)
    picture = pixels.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    return {"target": list(picture.shape[:2]), "soft_tokens": rows * columns, "crc32_rgb_u8": crc32(picture),
            "crc32_patches_u8": crc32(pixels), "crc32_patches_f32": crc32(patches)}


def _resized_pattern(height, width, budget, patch=16):
    return {"height": height, "width": width, "budget": budget, "patch_size": patch,
            **resized(Image.fromarray(media.pattern(height, width)), budget, patch)}


def _decoded(name):
    """Bytes before the resize: what the processor turns the file into (RGB, alpha on white)."""
    image = media.load_picture(name)
    rgb = np.asarray(convert_to_rgb(image))
    return {"file": name, "height": rgb.shape[0], "width": rgb.shape[1], "mode": image.mode,
            "crc32_rgb_u8": crc32(rgb), "resized_70": resized(image, 70)}


def _frames(samples, per_token):
    extractor = Gemma4UnifiedAudioFeatureExtractor(feature_size=per_token, audio_samples_per_token=per_token)
    wave = ((np.arange(samples) * 37 % 2001) - 1000).astype(np.float32) / np.float32(1024)
    output = extractor([wave], return_tensors="np")
    frames = output["input_features"][0][output["input_features_mask"][0]]
    return {"samples": samples, "samples_per_token": per_token, "soft_tokens": len(frames),
            "crc32_frames_f32": crc32(frames.astype(np.float32))}


def write():
    """Writes processor.json; returns what it holds, in words."""
    targets = [{"height": h, "width": w, "targets": {str(b): target(h, w, b) for b in BUDGETS}} for h, w in SIZES]
    pictures = [_resized_pattern(*item) for item in RESIZED]
    pictures += [_resized_pattern(h, w, 70, patch) for patch, h, w in SMALL_PATCHES]
    files = [_decoded(path.name) for path in sorted(media.FOLDER.glob("*.png"))]
    sounds = [_frames(samples, per_token) for per_token in (640, 160) for samples in SAMPLES]
    write_json(OUT / "processor.json", {
        "pattern": " ".join(media.pattern.__doc__.split()),
        "wave": "float32((37 i mod 2001) - 1000) / 1024 for sample i",
        "patches": "rows of (model patch)^2 x 3 values in raster order, channels fastest; f32 = u8 * float32(1 / 255)",
    }, targets=targets, resized=pictures, files=files, sounds=sounds)
    return f"{len(targets)} sizes, {len(pictures)} resized pictures, {len(files)} files, {len(sounds)} sounds"
