"""What is wrong with a command is found before the model is loaded, and nothing waits for a pipe or a device."""

import json
import os
import socket
import struct
import subprocess
import unittest

from support import PROGRAM, SAMPLES, TINY, CliTest, clean_environment, lapidary, main

ABSENT = "absent-model.gguf"  # an error that names something else came before the model was looked for


class Order(CliTest):
    def test_files_of_the_prompt(self):
        typo = self.folder / "typo.png"
        picture = SAMPLES / "image_1.png"
        talk = self.file("talk.json", json.dumps({"messages": [{"role": "user", "content": [
            {"type": "image", "path": str(typo)}]}]}))
        for args in (["--image", typo], ["--image", picture, "--audio", typo], ["--audio", picture],
                     ["--image", SAMPLES / "speech_1.wav"], ["--messages", talk]):
            with self.subTest(args=args):
                prompt = [] if "--messages" in args else ["-p", "x"]
                error = self.fails(1, "run", ABSENT, *args, *prompt)
                self.assertNotIn(ABSENT, error["message"])

    def test_places_of_the_results(self):
        nowhere = self.folder / "no" / "folder" / "file"
        self.fails(1, "logits", ABSENT, "--tokens", "2", "--out", nowhere, says=str(nowhere))
        self.fails(1, "run", ABSENT, "-p", "x", "--trace", nowhere, says=str(nowhere))
        self.fails(1, "run", ABSENT, "-p", "x", "--trace", self.folder, says=str(self.folder))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_nothing_is_left_when_the_model_fails(self):
        self.fails(3, "logits", ABSENT, "--tokens", "2", "--out", self.folder / "rows", says=ABSENT)
        self.assertEqual(list(self.folder.iterdir()), [])


class Cost(CliTest):
    def test_a_long_recording_costs_its_header(self):
        size = 3600 * 48000 * 4
        recording = self.file("hour.wav", b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + struct.pack(
            "<IHHIIHH", 16, 1, 2, 48000, 192000, 4, 16) + b"data" + struct.pack("<I", size))
        os.truncate(recording, size + 44)
        child = subprocess.Popen([PROGRAM, "run", TINY, "-p", "x", "--audio", recording], stdin=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, env=clean_environment())
        said = child.stderr.read()
        child.stderr.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 1)
        self.assertIn(b"lasts 3600.0 s", said)
        self.assertLess(usage.ru_maxrss, size // 1024 // 2, "kilobytes, of which a file read whole takes all")


class Waiting(CliTest):
    """Every one of these opened a pipe that nobody writes to, or a device that never ends."""

    def setUp(self):
        super().setUp()
        self.pipe = self.folder / "pipe"
        os.mkfifo(self.pipe)
        self.socket = self.folder / "socket"
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(self.socket))

    def test_as_a_model(self):
        for path in (self.pipe, self.socket, "/dev/zero"):
            for args in (["run", path, "-p", "x"], ["inspect", path], ["inspect", path, "--verify"],
                         ["run", TINY, "-p", "x", "--mmproj", path], ["pack", path, self.folder / "o"],
                         ["kld", TINY, "--base", path, "--random-tokens", "9"]):
                with self.subTest(args=args):
                    done = lapidary(*args)
                    self.assertIn(done.returncode, (2, 3), done.stderr)

    def test_as_anything_else(self):
        for path in (self.pipe, self.socket, "/dev/zero", self.folder):
            for args in (["run", TINY, "--image", path], ["run", TINY, "--audio", path], ["run", TINY, "-f", path],
                         ["run", TINY, "--messages", path], ["perplexity", TINY, path],
                         ["logits", TINY, "--tokens-file", path, "--out", "/dev/null"],
                         ["pack", TINY, self.folder / "o", "--kld", path]):
                with self.subTest(args=args):
                    self.fails(1, *args)

    def test_as_a_place_for_results(self):
        for args in (["logits", TINY, "--tokens", "2", "--out", self.pipe], ["pack", TINY, self.pipe],
                     ["run", TINY, "-p", "x", "--trace", self.pipe], ["synth", self.pipe, "--preset", "tiny"]):
            with self.subTest(args=args):
                self.fails(1, *args, says=str(self.pipe))

    def test_a_shells_pipe_is_read(self):
        script = f'"{PROGRAM}" tokenize "{TINY}" --messages <(echo \'{{"messages":[{{"role":"user","content":"Hi"}}]}}\')'
        done = subprocess.run(["bash", "-c", script], capture_output=True, env=clean_environment(), timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)


class NoFileNames(CliTest):
    def test_what_stands_where_a_picture_belongs(self):
        for name, hint in (("-", "name that"), ("file:///pictures/a.png", "give /pictures/a.png"), ("http://x/a.png", "fetch"),
                           ("https://x/a.png", "fetch"), ("data:image/png;base64," + "A" * 99, "name that")):
            talk = json.dumps({"messages": [{"role": "user", "content": [{"type": "image", "path": name}]}]})
            options = [] if name == "-" else ["--image", "--audio", "--video"]  # which read standard input
            for args, stdin in (*(([option, name, "-p", "x"], b"") for option in options), (["--messages", "-"], talk.encode())):
                with self.subTest(name=name, args=args):
                    error = self.fails(2, "run", ABSENT, *args, stdin=stdin)
                    self.assertIn(hint, error["hint"])
                    self.assertLess(len(error["message"]), 120)

    def test_a_shells_pipe_is_no_picture(self):
        script = f'"{PROGRAM}" run "{TINY}" -p x --image <(cat "{SAMPLES}/image_1.png")'
        done = subprocess.run(["bash", "-c", script], capture_output=True, env=clean_environment(), timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"it is a pipe", done.stderr)

    def test_parts_of_other_names(self):
        for kind in ("image_url", "input_audio"):
            talk = json.dumps({"messages": [{"role": "user", "content": [{"type": kind, kind: {"url": "x"}}]}]})
            error = self.fails(2, "run", ABSENT, "--messages", "-", stdin=talk.encode(), says=kind)
            self.assertIn('"path":"FILE"', error["hint"])


class BytesAsText(CliTest):
    def test_pictures_and_recordings_on_stdin(self):
        for name, kind in (("image_1.png", "PNG"), ("speech_1.wav", "WAV")):
            content = (SAMPLES / name).read_bytes()
            for args in (["run", TINY], ["run", ABSENT, "-p", "-"], ["run", ABSENT, "--messages", "-"]):
                with self.subTest(name=name, args=args):
                    error = self.fails(2, *args, stdin=content, says=f"standard input is {kind}, not text")
                    self.assertIn("--image", error["hint"])

    def test_pictures_in_a_file(self):
        picture = SAMPLES / "image_1.png"
        self.fails(2, "run", ABSENT, "-f", picture, says=[str(picture), "is PNG, not text"])

    def test_as_an_argument(self):
        self.fails(2, "run", ABSENT, "-p", b"\x89PNG\r\n\x1a\nrest", says="PNG")

    def test_a_picture_that_is_metadata(self):
        self.file("._photo.jpg", b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(40))
        self.fails(1, "run", ABSENT, "-p", "x", "--image", self.folder / "._photo.jpg", says="AppleDouble")


if __name__ == "__main__":
    main()
