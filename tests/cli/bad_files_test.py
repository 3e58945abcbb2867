"""Models, pictures and recordings that are missing, damaged or something else: clear errors, never a crash."""

import os
import struct
import unittest

from support import SAMPLES, TINY, CliTest, crafted_gguf, main

VERBS = (["run", "-p", "hi"], ["tokenize", "-p", "hi"], ["inspect"], ["logits", "--tokens", "2", "--out", "/dev/null"])


def wav(samples, rate=16000):
    data = struct.pack(f"<{len(samples)}h", *samples)
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16) + b"data" + struct.pack("<I", len(data)) + data)


class Models(CliTest):
    def refused(self, model, verbs=VERBS, says=()):
        for verb, *rest in verbs:
            with self.subTest(verb=verb):
                self.fails(3, verb, "-m", model, *rest, says=says)

    def test_missing(self):
        self.refused(self.folder / "none.gguf", says="none.gguf")
        self.refused(self.folder / "no" / "folder")

    def test_empty_file(self):
        self.refused(self.file("empty.gguf", b""), says="empty.gguf")

    def test_folder_without_a_model(self):
        self.refused(self.folder)

    def test_text_file(self):
        self.refused(self.file("model.gguf", "I am not a model.\n" * 100))

    def test_other_architecture(self):
        self.refused(self.file("llama.gguf", crafted_gguf(b"llama")), says="llama")

    def test_flipped_magic(self):
        self.refused(self.file("flipped.gguf", crafted_gguf(b"gemma4", magic=b"FUGG")))

    def test_header_alone(self):
        self.refused(self.file("header.gguf", crafted_gguf(b"gemma4")))

    def test_absurd_counts(self):
        self.refused(self.file("absurd.gguf", b"GGUF" + struct.pack("<IQQ", 3, 2**63, 2**63)))

    def test_truncated_safetensors(self):
        whole = (TINY / "model.safetensors").read_bytes()
        for length in (0, 4, 1000, len(whole) // 2, len(whole) - 1):
            with self.subTest(length=length):
                model = self.tiny_copy(f"cut{length}", model__safetensors=whole[:length])
                self.refused(model, verbs=VERBS[:1])

    def test_truncated_gguf(self):
        path = self.folder / "whole.gguf"
        self.ok("synth", path, "--preset", "tiny", "--type", "q4_0")
        whole = path.read_bytes()
        for length in (3, 20, 200, len(whole) // 2, len(whole) - 1):
            with self.subTest(length=length):
                self.refused(self.file("cut.gguf", whole[:length]), verbs=VERBS[2:])
        flipped = b"X" + whole[1:]
        self.refused(self.file("flipped.gguf", flipped), verbs=VERBS[2:])

    def test_damaged_config(self):
        for content in (b"", b"{", b"[]", b'{"model_type": "llama"}', b'{"model_type": "gemma4_unified"}'):
            with self.subTest(content=content):
                self.refused(self.tiny_copy(f"c{len(content)}", config__json=content), verbs=VERBS[:1])

    def test_a_damaged_tokenizer_is_named_once(self):
        for content in (b"{", b"[]"):
            error = self.fails(3, "run", "-m", self.tiny_copy(f"t{len(content)}", tokenizer__json=content), "-p", "x")
            self.assertEqual(error["message"].count("tokenizer.json"), 1, error)

    def test_no_tokenizer_stops_text_verbs_only(self):
        path = self.folder / "synthetic.gguf"
        self.ok("synth", path, "--preset", "tiny", "--type", "q8_0")
        self.refused(path, verbs=VERBS[:2])
        self.ok("inspect", path)
        self.ok("logits", path, "--tokens", "2", "--out", self.folder / "a")

    def test_names_of_other_stores(self):
        for name in ("ollama:gemma4:12b", "hf:google/gemma-4-12B-it", "lmstudio:a/b"):
            self.refused(name, verbs=VERBS[:1], says=name)

    def test_missing_projector(self):
        path = self.folder / "model.gguf"
        self.ok("synth", path, "--preset", "tiny", "--type", "q4_0", "--layers", "6")
        self.fails(3, "inspect", path, "--mmproj", self.folder / "none.gguf", says="none.gguf")


class Media(CliTest):
    def refused(self, flag, path):
        error = self.fails(1, "run", TINY, flag, path, "-p", "What is this?", says=os.path.basename(path))
        self.assertIn(error["code"], ("media_unsupported", "not_found", "io_error"))

    def test_pictures(self):
        png = (SAMPLES / "image_1.png").read_bytes()
        for name, content in {"text.png": b"just words", "empty.png": b"", "cut.png": png[:len(png) // 2],
                              "corrupt.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8,
                              "short.jpg": b"\xff\xd8"}.items():
            with self.subTest(name=name):
                self.refused("--image", self.file(name, content))
        self.refused("--image", self.folder / "missing.png")

    def test_recordings(self):
        for name, content in {"empty.wav": b"", "silent.wav": wav([]), "text.wav": b"just words",
                              "cut.wav": wav([1] * 100)[:20]}.items():
            with self.subTest(name=name):
                self.refused("--audio", self.file(name, content))
        self.refused("--audio", self.folder / "missing.wav")

    def test_missing_messages_file(self):
        self.fails(1, "run", TINY, "--messages", self.folder / "none.json", says="none.json")


if __name__ == "__main__":
    main()
