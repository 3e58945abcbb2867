"""No result replaces a file that the command reads: under no name, and not with --force."""

import json
import os
import shutil
import unittest

from support import SAMPLES, TINY, CliTest, main


class Inputs(CliTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        shutil.copytree(TINY, self.model)
        self.link = self.folder / "another.name"
        self.ask = ("logits", self.model, "-p", "What do you see?", "--force")

    def refused(self, *args, file, says):
        before = file.read_bytes()
        self.fails(2, *args, says=says)
        self.assertEqual(file.read_bytes(), before)

    def test_files_of_a_model_folder(self):
        for name in ("model.safetensors", "tokenizer.json", "config.json"):
            file = self.model / name
            self.link.unlink(missing_ok=True)
            os.symlink(file, self.link)
            for target in (file, self.link, self.model / "samples" / ".." / name):
                with self.subTest(target=target):
                    self.refused(*self.ask, "--out", target, file=file, says="model")
                    self.refused(*self.ask, "--out", self.folder / "rows", "--trace", target, file=file, says="--trace")

    def test_files_of_the_prompt(self):
        picture, talk = self.folder / "p.png", self.folder / "talk.json"
        shutil.copy(SAMPLES / "image_2.png", picture)
        os.symlink(picture, self.link)
        talk.write_text(json.dumps({"messages": [{"role": "user", "content": [{"type": "image", "path": str(picture)}]}]}))
        self.refused("run", self.model, "-p", "x", "--force", "--image", picture, "--trace", self.link, file=picture, says="picture")
        for target in (picture, talk):
            self.refused("run", self.model, "--messages", talk, "--force", "--trace", target, file=target, says="--trace")
        text = self.file("prompt.txt", "Who are you?")
        self.refused("logits", self.model, "-f", text, "--force", "--out", text, file=text, says="prompt")
        ids = self.file("ids.json", "[2,3]")
        self.refused("logits", self.model, "--tokens-file", ids, "--force", "--out", ids, file=ids, says="tokens")

    def test_gguf_files(self):
        self.ok("synth", self.folder / "a.gguf", "--preset", "tiny", "--layers", "6")
        first = self.folder / "m-00001-of-00002.gguf"
        os.rename(self.folder / "a.gguf", first)
        self.refused("bench", first, "--trace", first, "--force", file=first, says="itself")
        for name in ("m-00002-of-00002.gguf", "mmproj-m.gguf", "of any name"):  # what it is, its content says
            file = self.file(name, "GGUF and mine")
            self.refused("bench", first, "--trace", file, "--force", file=file, says="a model's file")
        neighbour = self.file("mmproj-notes.gguf", "mine")
        self.ok("bench", first, "-p", "2", "-n", "0", "-r", "1", "--trace", neighbour, "--force")
        self.assertIn("traceEvents", neighbour.read_text())
        projector = self.file("p.gguf", "mine")
        self.refused("bench", first, "--mmproj", projector, "--trace", projector, "--force", file=projector, says="projector")

    def test_two_results_in_one_file(self):
        both = self.folder / "both"
        self.fails(2, *self.ask, "--out", both, "--trace", both, says="--trace")
        self.assertFalse(both.exists())


if __name__ == "__main__":
    main()
