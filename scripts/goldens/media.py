"""The pictures and sounds of the goldens: made from formulas, saved as small PNG and WAV files, read back.

Used by cases.py (prompts with media) and processor.py (decoding and resizing).
"""
import struct
import wave
import zlib

import numpy as np
from PIL import Image, ImageOps

from .environment import OUT

FOLDER = OUT / "media"
SAMPLE_RATE = 16000


def pattern(height, width):
    """P(y, x, c) = (7x + 13y + 29c + 5((xy) mod 31) + 90((x div 9 + y div 7) mod 2)) mod 256: edges and gradients."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    value = 7 * x + 13 * y + 29 * c + 5 * ((x * y) % 31) + 90 * ((x // 9 + y // 7) % 2)
    return (value % 256).astype(np.uint8)


def _disc(height, width, colour, background):
    y, x = np.mgrid[0:height, 0:width]
    inside = (x - width * 0.4) ** 2 + (y - height * 0.55) ** 2 < (min(height, width) * 0.3) ** 2
    return np.where(inside[..., None], np.uint8(colour), np.uint8(background))


def _with_orientation(png, orientation):
    """Adds an eXIf chunk (one little-endian TIFF entry, tag 0x0112) after the header chunk of a PNG file."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    header_end = 8 + 4 + 4 + 13 + 4
    return png[:header_end] + chunk + png[header_end:]


def _pictures():
    ramp = np.linspace(0, 255, 51).astype(np.uint8)
    alpha = np.broadcast_to(ramp, (37, 51))
    grey = pattern(45, 83)[..., 0]
    frame = lambda shift: np.roll(_disc(48, 64, (230, 60, 30), (20, 30, 60)), shift, axis=1)
    return {
        "odd_61x47.png": Image.fromarray(pattern(61, 47)),
        "wide_33x200.png": Image.fromarray(pattern(33, 200)),
        "tall_131x97.png": Image.fromarray(_disc(131, 97, (30, 200, 80), (240, 240, 220))),
        "alpha_37x51.png": Image.fromarray(np.dstack([pattern(37, 51), alpha])),
        "grey_45x83.png": Image.fromarray(grey),
        "grey_alpha_37x51.png": Image.fromarray(np.dstack([pattern(37, 51)[..., 1], alpha])),
        "palette_40x72.png": Image.fromarray(pattern(40, 72)).quantize(13),
        "orientation6_30x70.png": Image.fromarray(pattern(30, 70)),
        "frame_0.png": Image.fromarray(frame(0)),
        "frame_1.png": Image.fromarray(frame(9)),
        "frame_2.png": Image.fromarray(frame(18)),
    }


def _sounds():
    def chirp(count, start, slope, seed):
        t = np.arange(count) / SAMPLE_RATE
        noise = np.random.default_rng(seed).standard_normal(count)
        return 0.4 * np.sin(2 * np.pi * (start + slope * t) * t) + 0.03 * noise

    return {"chirp_4801.wav": chirp(4801, 220, 900, 1), "hum_1999.wav": chirp(1999, 95, 40, 2)}


def write():
    """Writes every file of tests/data/goldens/media/."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, image in _pictures().items():
        image.save(FOLDER / name, optimize=True)
        if name.startswith("orientation6"):
            (FOLDER / name).write_bytes(_with_orientation((FOLDER / name).read_bytes(), 6))
    for name, samples in _sounds().items():
        with wave.open(str(FOLDER / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())


def load_picture(name):
    """A PIL image, turned by its EXIF orientation; the processor itself puts alpha onto white."""
    with Image.open(FOLDER / name) as image:
        return ImageOps.exif_transpose(image).copy()


def load_sound(name):
    """Mono float32 samples in [-1, 1): int16 / 32768."""
    with wave.open(str(FOLDER / name), "rb") as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return data.astype(np.float32) / np.float32(32768)
