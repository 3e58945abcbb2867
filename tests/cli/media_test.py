"""Pictures, recordings and videos through the program: every way to give them, and every way they can be wrong."""

import json
import os
import struct
import subprocess
import unittest
import zlib

from support import FFMPEG, PROGRAM, ROOT, SAMPLES, TINY, CliTest, clean_environment, main

CLIPS = ROOT / "tests/data/media/video"
PICTURES = ROOT / "tests/data/media"
QUESTION = "What happens in the video?"
BEGIN_IMAGE, VIDEO, BEGIN_AUDIO = "<|image>", "<|video|>", "<|audio>"


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + b"\x80" * width) * height
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def wav(channels, rate, frames):
    data = struct.pack(f"<{channels * frames}h", *((i * 37) % 2000 - 1000 for i in range(channels * frames)))
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16) + b"data" +
            struct.pack("<I", len(data)) + data)


class Media(CliTest):
    def ids(self, *args, **options):
        return self.ok_json("run", TINY, *args, "-n", "1", **options)["prompt_tokens"]

    def special(self, text):
        return self.ok_json("tokenize", TINY, "-p", text, "--special")["ids"][0]

    def refused(self, *args, says=(), **options):
        error = self.fails(1, "run", TINY, "-p", "x", *args, says=says, **options)
        self.assertIn(error["code"], ("media_unsupported", "not_found", "io_error"))
        self.assertTrue(error["hint"])


class Pictures(Media):
    def test_kinds(self):
        for name in ("rgba_lossy.webp", "animated.webp", "animated.gif", "transparent.gif", "cmyk.jpg", "grey_16bit.png"):
            with self.subTest(name=name):
                self.assertIn(self.special(BEGIN_IMAGE), self.ids("--image", PICTURES / name, "-p", "x"))

    def test_from_standard_input(self):
        for flag, file in (("--image", SAMPLES / "image_1.png"), ("--image", PICTURES / "animated.gif"),
                           ("--audio", SAMPLES / "speech_1.wav")):
            with self.subTest(file=file.name):
                self.assertEqual(self.ids(flag, "-", "-p", "x", stdin=file.read_bytes()), self.ids(flag, file, "-p", "x"))
        self.refused("--image", "-", stdin=b"", says="standard input is empty")
        self.refused("--image", "-", stdin=b"no picture", says="text")
        image = (SAMPLES / "image_1.png").read_bytes()
        self.refused("--image", "-", stdin=image[:100], says="damaged PNG")
        self.fails(2, "run", TINY, "--image", "-", "-p", "-", stdin=image, says="twice")
        self.fails(2, "run", TINY, "--image", "-", "--audio", "-", "-p", "x", stdin=image, says="twice")

    def test_a_pipe_that_closes(self):
        image = (SAMPLES / "image_1.png").read_bytes()
        done = subprocess.Popen([PROGRAM, "run", str(TINY), "--image", "-", "-p", "x"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
        done.stdin.write(image[:64])
        _, error = done.communicate(timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"damaged PNG", error)

    def test_smallest_and_thinnest(self):
        for width, height in ((1, 1), (20000, 10), (10, 20000), (1, 20000)):
            with self.subTest(width=width, height=height):
                ids = self.ids("--image", self.file("a.png", png(width, height)), "-p", "x")
                self.assertIn(self.special(BEGIN_IMAGE), ids)

    def test_wrong_extensions_do_not_matter(self):
        path = self.file("a.jpg", (SAMPLES / "image_1.png").read_bytes())
        self.assertEqual(self.ids("--image", path, "-p", "x"), self.ids("--image", SAMPLES / "image_1.png", "-p", "x"))
        self.refused("--image", self.file("a.png", (SAMPLES / "speech_1.wav").read_bytes()), says="is WAV")

    def test_cut_at_every_tenth(self):
        for flag, file in (("--image", PICTURES / "rgba_lossless.webp"), ("--image", PICTURES / "plain.gif"),
                           ("--image", SAMPLES / "image_1.png"), ("--audio", SAMPLES / "speech_1.wav")):
            whole = file.read_bytes()
            for tenth in range(0, 10, 3):
                with self.subTest(file=file.name, tenth=tenth):
                    self.refused(flag, self.file("cut", whole[:len(whole) * tenth // 10]), says="cut")


class Sound(Media):
    def test_odd_recordings(self):
        self.assertIn(self.special(BEGIN_AUDIO), self.ids("--audio", self.file("a.wav", wav(7, 8000, 800)), "-p", "x"))
        self.refused("--audio", self.file("none.wav", wav(1, 16000, 0)), says="none.wav")

    def test_long_recordings_become_clips(self):
        ids = self.ids("--audio", self.file("a.wav", wav(1, 8000, 8000 * 31)), "-p", "x")
        self.assertEqual(ids.count(self.special(BEGIN_AUDIO)), 2)
        self.assertEqual(ids.count(self.special("<|audio|>")), 775)

    @unittest.skipUnless(FFMPEG, "this build has no FFmpeg")
    def test_m4a(self):
        ids = self.ids("--audio", CLIPS / "tone.m4a", "-p", "x")
        self.assertIn(ids.count(self.special("<|audio|>")), (25, 26, 27))
        self.assertEqual(ids, self.ids("--audio", "-", "-p", "x", stdin=(CLIPS / "tone.m4a").read_bytes()))
        self.refused("--audio", CLIPS / "motion.mp4", says="no sound track")


@unittest.skipUnless(FFMPEG, "this build has no FFmpeg")
class Videos(Media):
    def frames(self, *args, **options):
        return self.ids(*args, "-p", "x", **options).count(self.special(BEGIN_IMAGE))

    def test_frames_and_rate(self):
        clip = ["--video", CLIPS / "motion.mp4"]  # 40 frames at 23.976
        self.assertEqual(self.frames(*clip), 4)  # the bundled model's own number
        self.assertEqual(self.frames(*clip, "--frames", "3"), 3)
        self.assertEqual(self.frames(*clip, "--fps", "5"), 8)
        self.assertEqual(self.frames("--video", CLIPS / "full_range.avi", "--frames", "1000"), 8)
        self.assertEqual(self.frames("--video", "-", "--frames", "3", stdin=(CLIPS / "motion.mkv").read_bytes()), 3)
        self.assertEqual(self.frames(*clip, "--video", CLIPS / "sound.webm"), 8)

    def test_sound(self):
        soft = self.special("<|audio|>")
        silent = self.ids("--video", CLIPS / "sound.webm", "-p", "x")
        loud = self.ids("--video", CLIPS / "sound.webm", "-p", "x", "--sound")
        self.assertEqual(silent.count(soft), 0)
        self.assertIn(loud.count(soft), (50, 51))
        self.assertGreater(loud.index(soft), len(loud) - 1 - loud[::-1].index(self.special(VIDEO)))
        self.assertEqual(loud, self.ids("--video", "-", "-p", "x", "--sound", stdin=(CLIPS / "sound.webm").read_bytes()))
        self.refused("--video", CLIPS / "motion.mp4", "--sound", says="no sound track")

    def test_messages(self):
        def talk(**part):
            content = [{"type": "video", "path": str(CLIPS / "motion.mp4"), **part}, {"type": "text", "text": "x"}]
            return self.file("talk.json", json.dumps({"messages": [{"role": "user", "content": content}]}))
        begin = self.special(BEGIN_IMAGE)
        for part, frames in (({}, 4), ({"frames": 2}, 2), ({"fps": 5}, 8)):
            self.assertEqual(self.ids("--messages", talk(**part)).count(begin), frames)
        self.fails(2, "run", TINY, "--messages", talk(frames=2, fps=1), says=["frames", "fps"])
        self.fails(2, "run", TINY, "--messages", talk(frames=0), says="frames")
        self.fails(2, "run", TINY, "--messages", talk(fps="fast"), says="fps")

    def test_options_that_contradict_each_other(self):
        clip = ["--video", CLIPS / "motion.mp4"]
        self.fails(2, "run", TINY, "-p", "x", *clip, "--frames", "3", "--fps", "1", says=["--frames", "--fps"])
        for option in (["--frames", "3"], ["--fps", "1"], ["--sound"]):
            self.fails(2, "run", TINY, "-p", "x", *option, says=[option[0], "--video"])
        self.fails(2, "run", TINY, "-p", "x", *clip, "--frames", "0", says="--frames")
        self.fails(2, "run", TINY, "-p", "x", *clip, "--fps", "0", says="--fps")

    def test_cut_at_every_tenth(self):
        whole = (CLIPS / "motion.mp4").read_bytes()
        for tenth in range(10):
            with self.subTest(tenth=tenth):
                self.refused("--video", self.file("cut.mp4", whole[:len(whole) * tenth // 10]), says="cut.mp4")

    def test_what_is_no_video(self):
        self.refused("--video", self.folder / "missing.mp4", says="missing.mp4")
        self.refused("--video", SAMPLES / "image_1.png", says="is PNG, not a video")
        self.refused("--video", CLIPS / "tone.m4a", says="no video track")
        self.refused("--video", self.folder, says="is a directory")
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.fails(1, "run", TINY, "-p", "x", "--video", pipe, says="it is a pipe")

    def test_more_frames_than_the_context_holds(self):
        error = self.fails(1, "run", TINY, "-p", "x", "--video", CLIPS / "motion.mp4", "--ctx", "200", says="fewer frames")
        self.assertEqual(error["code"], "context_full")

    def test_without_ffmpeg(self):
        for module in ("none", str(self.folder / "absent.so"), "libm.so.6"):
            env = clean_environment(LAPIDARY_FFMPEG=module)
            with self.subTest(module=module):
                self.refused("--video", CLIPS / "motion.mp4", env=env, says=["needs FFmpeg", "libavformat", "LAPIDARY_FFMPEG"])
                self.refused("--audio", CLIPS / "tone.m4a", env=env, says=["needs FFmpeg", "libavformat"])
                self.ids("--image", SAMPLES / "image_1.png", "--audio", SAMPLES / "speech_1.wav", "-p", "x", env=env)


if __name__ == "__main__":
    main()
