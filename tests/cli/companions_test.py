"""Files beside a model: which projector serves, and that none of them disturbs a text; --mmproj in every verb."""

import json
import os
import shutil
import struct
import unittest

from support import ROOT, SAMPLES, CliTest, lapidary, main

MODEL = ROOT / "tests" / "data" / "peer" / "quant3-q8_0.gguf"  # with a tokenizer; width 256
F32, F16, BF16 = 0, 1, 30
ASK = ("-p", "Hi", "--temp", "0", "-n", "4")


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(keys, tensors=()):
    """keys: name -> text or bool; tensors: (name, extents, type, bytes a value)."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, value in keys.items():
        out += text(key) + (struct.pack("<IB", 7, value) if isinstance(value, bool) else
                            struct.pack("<I", 8) + text(value))
    data = b""
    for name, extents, kind, size in tensors:
        out += text(name) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, kind, len(data))
        count = size
        for extent in extents:
            count *= extent
        data += bytes(count + -count % 32)
    return out + bytes(-len(out) % 32) + data


def projector(kind, size, width=256):
    """Sound only."""
    keys = {"general.architecture": "clip", "clip.has_audio_encoder": True, "clip.audio.projector_type": "gemma4ua"}
    return gguf(keys, [("mm.a.input_projection.weight", (640, width), kind, size)])


class Companions(CliTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "model.gguf"
        shutil.copy(MODEL, self.model)

    def fill(self):
        self.file("mmproj-F16.gguf", projector(F16, 2))
        self.file("mmproj-BF16.gguf", projector(BF16, 2))
        self.file("mmproj-F32.gguf", projector(F32, 4))
        self.file("mmproj-of-another.gguf", projector(F32, 4, width=512))
        self.file("mmproj-cut.gguf", projector(F32, 4)[:5000])
        self.file("._mmproj-F32.gguf", b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(40))
        self.file("._model.gguf", b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(40))
        self.file("imatrix.gguf", gguf({"general.type": "imatrix"}))
        self.file("lora.gguf", gguf({"general.type": "adapter", "general.architecture": "gemma4"}))
        self.file("draft.gguf", gguf({"general.architecture": "gemma4-assistant"}))
        os.mkfifo(self.folder / "mmproj-pipe.gguf")

    def test_text_is_the_same_with_and_without_them(self):
        alone = self.ok_json("run", self.model, *ASK)["tokens"]
        self.fill()
        for model in (self.model, self.folder):
            done = lapidary("run", model, *ASK)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn(b"projector", done.stderr)
            self.assertEqual(self.ok_json("run", model, *ASK)["tokens"], alone)

    def test_prompts_with_sound_need_no_weights(self):
        self.fill()
        messages = self.file("m.json", json.dumps({"messages": [{"role": "user", "content": [
            {"type": "audio", "path": str(SAMPLES / "speech_1.wav")}]}]}))
        ids = self.ok_json("logits", self.model, "--messages", messages, "-o", self.folder / "rows")["prompt_tokens"]
        self.model.write_bytes(self.model.read_bytes()[:1 << 19])
        self.assertEqual(self.ok_json("tokenize", self.model, "--messages", messages)["ids"], ids)

    def test_the_most_exact_of_those_that_fit(self):
        self.fill()
        report = self.ok_json("inspect", self.folder)
        self.assertEqual([os.path.basename(f) for f in report["files"]], ["model.gguf", "mmproj-F32.gguf"])
        self.assertTrue(any("best of 3" in note and "mmproj-of-another.gguf" in note for note in report["notes"]))
        done = lapidary("run", self.model, "--audio", SAMPLES / "speech_1.wav", *ASK)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"mmproj-F32.gguf", done.stderr)
        os.remove(self.folder / "mmproj-F32.gguf")
        report = self.ok_json("inspect", self.model)
        self.assertEqual(os.path.basename(report["files"][1]), "mmproj-BF16.gguf")

    def test_media_without_a_projector_that_fits(self):
        sound = ("--audio", SAMPLES / "speech_1.wav", *ASK)
        self.fails(1, "run", self.model, *sound, says=("no sound", "no projector"))
        self.file("mmproj-of-another.gguf", projector(F32, 4, width=512))
        self.fails(3, "run", self.model, *sound, says=("no sound", "mmproj-of-another.gguf", "512"))
        self.ok("run", self.model, *ASK)

    def test_every_verb_takes_the_option(self):
        self.fill()
        packed = self.folder / "out.lapidary"
        words = self.file("words.txt", "Who are you? " * 20)
        for value in ("none", self.folder / "mmproj-F16.gguf"):
            for args in (["run", self.model, *ASK], ["tokenize", self.model, "Hi"], ["inspect", self.model],
                         ["logits", self.model, "--tokens", "2", "--out", self.folder / "rows", "--force"],
                         ["bench", self.model, "-p", "8", "-n", "0", "-r", "1"],
                         ["perplexity", self.model, words], ["kld", self.model, "--base-precise", words],
                         ["pack", self.model, packed]):
                with self.subTest(verb=args[0], value=value):
                    self.ok(*args, "--mmproj", value)
            packed.unlink()
        self.fails(1, "run", self.model, "--mmproj", "none", "--audio", SAMPLES / "speech_1.wav", *ASK, says="none")
        self.fails(3, "tokenize", self.model, "Hi", "--mmproj", self.folder / "absent.gguf", says="absent.gguf")


if __name__ == "__main__":
    main()
