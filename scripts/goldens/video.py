"""Small clips for tests/data/media/video, made by FFmpeg's own sources, and what transformers makes of them.

Frames come through PyAV, one of transformers' two decoders; TorchCodec scans clips whose container has no count, which
is what the count by decoding stands for here. Rotation, which PyAV ignores, is applied as TorchCodec does.
"""
import shutil
import subprocess

import av
import numpy as np
from transformers import Gemma4UnifiedProcessor, Gemma4UnifiedVideoProcessor
from transformers.video_utils import VideoMetadata

from .environment import OUT, SOURCE, TINY, write_json

FOLDER = SOURCE / "tests" / "data" / "media" / "video"
EXACT = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
H264 = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "34", "-pix_fmt", "yuv420p"]
TONE = ["-f", "lavfi", "-i", "sine=f=440:r=44100"]


def _source(size, rate):
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}"]


# name -> arguments of ffmpeg
CLIPS = {
    "motion.mp4": [*_source("96x64", "24000/1001"), "-frames:v", "40", *H264, "-g", "20", "-bf", "2"],
    "motion.mkv": ["-i", "motion.mp4", "-c", "copy"],
    "full_range.avi": [*_source("64x48", "12"), "-frames:v", "8", "-c:v", "mjpeg", "-q:v", "8", "-pix_fmt", "yuvj420p"],
    "sound.webm": [*_source("64x96", "10"), *TONE, "-t", "2", "-c:v", "libvpx-vp9", "-crf", "50", "-b:v", "0", "-pix_fmt", "yuv420p",
                   "-c:a", "libopus", "-b:a", "12k"],
    "upright.mov": [*_source("96x64", "10"), *TONE, "-t", "1", *H264, "-c:a", "aac", "-b:a", "24k"],
    "turned.mov": ["-i", "upright.mov", "-c", "copy", "-metadata:s:v", "rotate=90"],
    "tone.m4a": [*TONE, "-t", "1", "-ac", "2", "-c:a", "aac", "-b:a", "32k"],
    # The frames of the reference case of models/tiny, without loss.
    "reference.mkv": ["-framerate", "1", "-i", str(TINY / "samples/video_1/frame_%03d.png"), "-c:v", "png", "-pix_fmt", "rgb24"],
}
TURNED_BY_QUARTERS = {"turned.mov": 1}  # anticlockwise, as numpy.rot90 counts; `ffmpeg -i turned.mov x.png` shows it
SAMPLED = [(name, dict(num_frames=count)) for name in ("motion.mp4", "motion.mkv", "full_range.avi", "sound.webm", "turned.mov")
           for count in (1, 4, 7)] + [(name, dict(fps=fps)) for name in ("motion.mp4", "motion.mkv", "sound.webm") for fps in (0.1, 1, 2.5)]
PROBES = 24  # values per frame that the goldens keep


def make_clips():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, arguments in CLIPS.items():
        subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, *EXACT, name], cwd=FOLDER, check=True)


def _decoded(name):
    with av.open(str(FOLDER / name)) as container:
        rate = container.streams.video[0].average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack([np.rot90(frame, TURNED_BY_QUARTERS.get(name, 0)) for frame in frames]), float(rate)


def _probes(count):
    """Indices into the bytes of a frame: the same in the test."""
    return [(i * 7919 + 13) % count for i in range(PROBES)]


def _sampled(name, choice):
    frames, rate = _decoded(name)
    height, width = frames.shape[1:3]
    metadata = VideoMetadata(total_num_frames=len(frames), fps=rate, duration=len(frames) / rate, height=height, width=width)
    video = Gemma4UnifiedVideoProcessor(num_frames=None)  # whose default number excludes a rate
    indices = [int(i) for i in video.sample_frames(metadata, **choice)]
    metadata.frames_indices = indices
    processor = Gemma4UnifiedProcessor.from_pretrained(TINY)
    inputs = processor(text="<|video|>", videos=[frames[indices]], video_metadata=[metadata], do_sample_frames=False,
                       return_tensors="np")
    where = _probes(width * height * 3)
    return {"file": name, **choice, "frames": len(frames), "fps_of_file": rate, "size": [width, height], "indices": indices,
            "ids": np.asarray(inputs["input_ids"])[0].tolist(), 
            "probes": [frames[i].reshape(-1)[where].tolist() for i in indices]}


def write():
    """Writes the clips and video.json; returns what it holds, in words."""
    if shutil.which("ffmpeg") is None:
        raise SystemExit("ffmpeg is missing: install it to make the clips")
    make_clips()
    cases = [_sampled(*item) for item in SAMPLED]
    ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    write_json(OUT / "video.json", {
        "av": av.__version__, "ffmpeg": ffmpeg,
        "probes": f"byte (i * 7919 + 13) mod (width * height * 3) of each frame, for i below {PROBES}",
    }, cases=cases)
    return f"{len(CLIPS)} clips, {len(cases)} ways to sample them"
