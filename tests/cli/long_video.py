"""A clip of five minutes in full HD, and one of ten seconds: time per stage and peak memory, which must not grow with the
length. Needs the ffmpeg program, and minutes: ctest -L slow."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from support import PROGRAM, TINY, clean_environment

LONG_S, SHORT_S = int(os.environ.get("LAPIDARY_LONG_VIDEO_S", "300")), 10
MIB = 2**20


def make(folder, seconds):
    path = os.path.join(folder, f"{seconds}.mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30", "-f", "lavfi", "-i",
                    "sine=f=440:r=48000", "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
                    "-c:a", "aac", path], check=True)
    return path


def roomy_model(folder):
    """The bundled model with a context that five minutes of sound fit into."""
    path = os.path.join(folder, "model")
    shutil.copytree(TINY, path)
    config = json.loads((TINY / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 16384
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    return path


def measure(*arguments):
    """The reply, seconds from start to end, and the peak of resident memory in bytes."""
    began = time.monotonic()
    program = subprocess.Popen([PROGRAM, "run", *arguments, "--temp", "0", "-n", "1", "--ctx", "16384", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment())
    reply = json.loads(program.stdout.read())
    _, status, usage = os.wait4(program.pid, 0)
    assert status == 0, reply
    return reply, time.monotonic() - began, usage.ru_maxrss * 1024


def report(name, reply, seconds, peak):
    t = reply["timings"]
    media = seconds - t["load_s"] - t["ttft_s"]
    print(f"{name}: media {media:.1f} s, prompt {t['prefill_s']:.2f} s of {reply['usage']['prompt']} tokens, first token after "
          f"{t['ttft_s']:.2f} s, {seconds:.1f} s in all, peak {peak / MIB:.0f} MiB", flush=True)


def main():
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        model = roomy_model(folder)
        for seconds in (SHORT_S, LONG_S):
            clip = make(folder, seconds)
            print(f"{seconds} s of 1920x1080 at 30/s: {os.path.getsize(clip) / MIB:.0f} MiB", flush=True)
            for kind, arguments in (("frames", ["--video", clip, "--frames", "32"]), ("sound", ["--audio", clip])):
                measured = measure(model, *arguments, "-p", "What happens in the video?")
                report(f"{kind} of {seconds} s", *measured)
                peaks[kind, seconds] = measured[2]
    # Decoders keep a few frames of 3 MiB, whatever comes behind them; an index of packets is some 100 KB a minute.
    growth = peaks["frames", LONG_S] - peaks["frames", SHORT_S]
    print(f"growth of the peak with the length: {growth / MIB:.1f} MiB")
    return growth > 24 * MIB


if __name__ == "__main__":
    sys.exit(main())
