#!/usr/bin/env python3
"""Writes tests/data/media: small pictures and recordings with the RGB bytes Pillow makes of them.

For every picture NAME there is NAME.rgb: two little-endian uint32 (width, height), then the RGB8 bytes after
ImageOps.exif_transpose and the white compositing of transformers' convert_to_rgb. Recordings are described by
tests/model/media/audio_file_test.cpp, which knows their formulas.

    python3 -m venv /somewhere && /somewhere/bin/pip install pillow==13.0.0 numpy==2.4.6 soundfile==0.14.0
    /somewhere/bin/python scripts/make_media_fixtures.py

Deterministic for equal versions (but for the random serial number of an Ogg stream), which end up in tests/data/media/README.md.
"""
import io
import struct
import wave
import zlib
from pathlib import Path

import numpy as np
import PIL
import soundfile
from PIL import Image, ImageOps, features

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "media"


def to_rgb(image):
    """EXIF orientation, then alpha onto white as transformers 5.23 does, everything else as Pillow converts."""
    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB")
    return image.convert("RGB")


def save(name, data):
    (OUT / name).write_bytes(data)
    image = to_rgb(Image.open(io.BytesIO(data)))
    (OUT / (name + ".rgb")).write_bytes(struct.pack("<II", *image.size) + image.tobytes())


def picture(width, height):
    """Smooth ramps with one hard edge: asymmetric, so that every orientation and channel swap shows."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1)
    blue = np.where(x * 2 + y < width, 220, 30)
    return np.stack([red, green, blue], -1).astype(np.uint8)


# --- PNG, written chunk by chunk: Pillow cannot save most of these kinds -------------------------------------------
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """samples [h][w][channels] -> unfiltered scan lines."""
    rows = b""
    for line in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            packed = line.astype(">u2").tobytes()
        else:
            bits = "".join(format(int(v), "0%db" % depth) for v in line)
            bits += "0" * (-len(bits) % 8)
            packed = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        rows += b"\0" + packed
    return rows


def png(samples, depth, color_type, before=b"", after=b"", interlaced=False):
    samples = np.asarray(samples)
    if samples.ndim == 2:
        samples = samples[..., None]
    height, width = samples.shape[:2]
    raw = b""
    for x0, y0, dx, dy in (ADAM7 if interlaced else ((0, 0, 1, 1),)):
        part = samples[y0::dy, x0::dx]
        raw += pack_rows(part, depth) if part.size else b""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(raw, 9)) + after +
            chunk(b"IEND", b""))


def exif(orientation, big_endian=False, kind=3):
    """A TIFF block whose only entry is the orientation, as SHORT (3) or LONG (4)."""
    order = ">" if big_endian else "<"
    value = struct.pack(order + "HH", orientation, 0) if kind == 3 else struct.pack(order + "I", orientation)
    return ((b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "IH", 8, 1) +
            struct.pack(order + "HHI", 0x0112, kind, 1) + value + struct.pack(order + "I", 0))


def make_png():
    rng = np.random.default_rng(7)
    rgb = picture(9, 7).astype(int)
    alpha = rng.integers(0, 256, (7, 9, 1))
    alpha[0, :4, 0] = (0, 255, 1, 254)
    grey, deep = rgb[..., :1], rng.integers(0, 65536, (7, 9, 4))
    index = rng.integers(0, 4, (7, 9))
    palette = chunk(b"PLTE", bytes([250, 10, 20, 30, 240, 50, 60, 70, 230, 128, 129, 130]))
    save("rgb.png", png(rgb, 8, 2))
    save("rgb_interlaced.png", png(rgb, 8, 2, interlaced=True))
    save("rgba.png", png(np.concatenate([rgb, alpha], -1), 8, 6))
    save("rgba_interlaced.png", png(np.concatenate([rgb, alpha], -1), 8, 6, interlaced=True))
    save("rgb_transparent_color.png", png(rgb, 8, 2, chunk(b"tRNS", struct.pack(">HHH", *map(int, rgb[2, 3])))))
    save("grey.png", png(grey, 8, 0))
    save("grey_alpha.png", png(np.concatenate([grey, alpha], -1), 8, 4))
    save("grey_transparent_color.png", png(grey, 8, 0, chunk(b"tRNS", struct.pack(">H", int(grey[0, 4, 0])))))
    for depth in (1, 2, 4):
        save("grey_%dbit.png" % depth, png(rng.integers(0, 1 << depth, (7, 9)), depth, 0))
    save("grey_4bit_interlaced.png", png(rng.integers(0, 16, (7, 9)), 4, 0, interlaced=True))
    save("palette_2bit.png", png(index, 2, 3, palette))
    save("palette_transparent.png", png(index, 8, 3, palette + chunk(b"tRNS", bytes([0, 128, 200]))))
    deep_grey = deep[..., 0].copy()
    deep_grey[:3] %= 256
    save("grey_16bit.png", png(deep_grey, 16, 0))
    save("rgb_16bit.png", png(deep[..., :3], 16, 2))
    save("grey_alpha_16bit.png", png(deep[..., :2], 16, 4))
    save("rgba_16bit.png", png(deep, 16, 6, interlaced=True))
    save("one_pixel.png", png(rgb[:1, :1], 8, 2))
    for orientation in range(1, 9):
        block = chunk(b"eXIf", exif(orientation, big_endian=orientation % 2 == 0))
        save("orientation_%d.png" % orientation, png(rgb[:3, :5], 8, 2, before=block))
    save("orientation_after_data.png", png(rgb[:3, :5], 8, 2, after=chunk(b"eXIf", exif(6))))


# --- JPEG ----------------------------------------------------------------------------------------------------------
def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 85, **options})
    return out.getvalue()


def make_jpeg():
    rgb = Image.fromarray(picture(21, 13))
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        save("rgb_%s.jpg" % name, jpeg(rgb, subsampling=sampling))
    save("rgb_progressive.jpg", jpeg(rgb, progressive=True, subsampling=2))
    save("rgb_restarts.jpg", jpeg(rgb, restart_marker_blocks=1))
    save("grey.jpg", jpeg(rgb.convert("L")))
    save("cmyk.jpg", jpeg(Image.fromarray(np.dstack([picture(21, 13), picture(21, 13)[::-1, :, 0] // 2]), "CMYK")))
    ycck = jpeg(Image.fromarray(np.dstack([picture(21, 13), picture(21, 13)[::-1, :, 0] // 2]), "CMYK"))
    at = ycck.index(b"Adobe") + 11          # the transform flag of the Adobe marker: 0 CMYK, 2 YCCK
    save("ycck.jpg", ycck[:at] + b"\x02" + ycck[at + 1:])
    save("one_pixel.jpg", jpeg(rgb.crop((3, 3, 4, 4))))
    for orientation in range(1, 9):
        block = b"Exif\0\0" + exif(orientation, orientation % 2 == 1, kind=4 if orientation == 3 else 3)
        save("orientation_%d.jpg" % orientation, jpeg(rgb, subsampling=0, exif=block))


# --- WebP ----------------------------------------------------------------------------------------------------------
def webp(image, **options):
    out = io.BytesIO()
    image.save(out, "WEBP", **{"quality": 80, "method": 4, **options})
    return out.getvalue()


def make_webp():
    rng = np.random.default_rng(13)
    rgb = Image.fromarray(picture(21, 13))
    alpha = rng.integers(0, 256, (13, 21, 1)).astype(np.uint8)
    rgba = Image.fromarray(np.concatenate([picture(21, 13), alpha], -1), "RGBA")
    save("rgb_lossy.webp", webp(rgb))
    save("rgb_lossless.webp", webp(rgb, lossless=True))
    save("rgba_lossy.webp", webp(rgba))
    save("rgba_lossless.webp", webp(rgba, lossless=True, exact=True))
    save("one_pixel.webp", webp(rgb.crop((3, 3, 4, 4)), lossless=True))
    second = Image.fromarray(picture(21, 13)[::-1])
    save("animated.webp", webp(rgb, save_all=True, append_images=[second], lossless=True, duration=100))
    save("animated_alpha.webp", webp(rgba, save_all=True, append_images=[second.convert("RGBA")], lossless=True, duration=100))
    for orientation in (3, 6):
        prefix = b"Exif\0\0" if orientation == 6 else b""
        save("orientation_%d.webp" % orientation, webp(rgb.crop((0, 0, 9, 5)), lossless=True, exif=prefix + exif(orientation)))


# --- GIF, written by hand: Pillow saves no frames that leave a border, and few colours at will ---------------------------
def gif_data(indices):
    """LZW of 8-bit indices in codes of 9 bits: a clear code comes before they would grow."""
    codes = []
    for i, index in enumerate(indices):
        if i % 200 == 0:
            codes.append(256)
        codes.append(int(index))
    bits = sum(code << 9 * i for i, code in enumerate(codes + [257]))
    data = bits.to_bytes((9 * (len(codes) + 1) + 7) // 8, "little")
    blocks = [data[i:i + 255] for i in range(0, len(data), 255)]
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif_frame(indices, left=0, top=0, transparent=None, interlaced=False, palette=None):
    indices = np.asarray(indices)
    height, width = indices.shape
    if interlaced:
        indices = indices[[y for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(first, height, step)]]
    control = b"" if transparent is None else struct.pack("<BBBBHBB", 0x21, 0xf9, 4, 1, 10, transparent, 0)
    flags = (0x40 if interlaced else 0) | (0x80 | 7 if palette else 0)
    return control + struct.pack("<BHHHHB", 0x2c, left, top, width, height, flags) + (palette or b"") + gif_data(indices.ravel())


def gif(width, height, frames, palette=None, background=0):
    return (b"GIF89a" + struct.pack("<HHBBB", width, height, (0xf0 | 7) if palette else 0x70, background, 0) + (palette or b"") +
            b"".join(frames) + b";")


def make_gif():
    rng = np.random.default_rng(17)
    palette = rng.integers(0, 256, 768).astype(np.uint8).tobytes()
    other = rng.integers(0, 256, 768).astype(np.uint8).tobytes()
    pixels = rng.integers(0, 256, (19, 23))
    few = rng.integers(0, 4, (19, 23))
    save("plain.gif", gif(23, 19, [gif_frame(pixels)], palette))
    save("interlaced.gif", gif(23, 19, [gif_frame(pixels, interlaced=True)], palette))
    save("transparent.gif", gif(23, 19, [gif_frame(few, transparent=2)], palette))
    save("own_colors.gif", gif(23, 19, [gif_frame(pixels, palette=other)], palette))
    save("no_colors.gif", gif(23, 19, [gif_frame(pixels)]))
    save("border.gif", gif(30, 25, [gif_frame(pixels, 4, 3)], palette, background=5))
    save("border_transparent.gif", gif(30, 25, [gif_frame(few, 4, 3, transparent=2)], palette, background=5))
    save("beyond_the_screen.gif", gif(10, 10, [gif_frame(pixels, 2, 1)], palette))
    save("animated.gif", gif(23, 19, [gif_frame(pixels), gif_frame(few)], palette))
    save("by_pillow.gif", encoded(Image.fromarray(picture(40, 30)), "GIF"))


def encoded(image, kind):
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


# --- others ----------------------------------------------------------------------------------------------------------
def make_others():
    rgb = Image.fromarray(picture(8, 8))
    for name in ("BMP", "TIFF"):
        rgb.save(OUT / ("refused." + name.lower()), name)


def make_wav():
    rng = np.random.default_rng(11)
    for name, channels, rate, width, frames in (("stereo_8k_16bit", 2, 8000, 2, 300), ("mono_16k_8bit", 1, 16000, 1, 700),
                                                ("mono_16k_24bit", 1, 16000, 3, 100)):
        with wave.open(str(OUT / (name + ".wav")), "wb") as out:
            out.setparams((channels, width, rate, frames, "NONE", ""))
            out.writeframes(rng.integers(0, 256, channels * width * frames, dtype=np.uint8).tobytes())


def make_compressed():
    soundfile.write(OUT / "ramp.flac", (np.arange(1000) * 37 % 2000 - 1000).astype(np.int16), 16000)
    tone = 0.4 * np.sin(2 * np.pi * 440 * np.arange(4000) / 22050)
    soundfile.write(OUT / "tone.ogg", tone, 22050)
    soundfile.write(OUT / "tone.mp3", tone, 22050, format="MP3")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in list(OUT.glob("*")):
        if old.is_file() and old.name != "README.md":  # the folder video is another script's
            old.unlink()
    make_png()
    make_jpeg()
    make_webp()
    make_gif()
    make_others()
    make_wav()
    make_compressed()
    (OUT / "README.md").write_text(
        "# Pictures and recordings for tests/model/media\n\n"
        "Written by `scripts/make_media_fixtures.py` (how: see its head). `NAME.rgb` holds what Pillow makes of the\n"
        "picture `NAME`, upright and on white: width and height as little-endian uint32, then RGB8 bytes.\n\n"
        "Made with Pillow %s (libjpeg-turbo %s, zlib %s), numpy %s,\nsoundfile %s (%s).\n" %
        (PIL.__version__, features.version_feature("libjpeg_turbo"), features.version("zlib"), np.__version__,
         soundfile.__version__, soundfile.__libsndfile_version__))


if __name__ == "__main__":
    main()
