"""`lapidary synth`: files of random weights that the other verbs accept; whole or absent."""

import os
import resource
import unittest

from support import CliTest, main


class Synth(CliTest):
    def test_every_type_opens(self):
        for name in ("q4_0", "q8_0", "q4_k", "q6_k", "bf16", "f16"):
            with self.subTest(type=name):
                path = self.folder / f"{name}.gguf"
                answer = self.ok_json("synth", path, "--preset", "tiny", "--type", name, "--layers", "6")
                self.assertEqual(answer["bytes"], path.stat().st_size)
                report = self.ok_json("inspect", path)
                self.assertEqual((report["source"], report["layers"]), ("gguf", 6))
                self.assertEqual(report["type"].lower(), name)
                rows = self.ok_json("logits", path, "--tokens", "2,3,4", "--out", self.folder / "l", "--force")
                self.assertEqual(rows["rows"], 1)

    def test_hugging_face_folder(self):
        path = self.folder / "folder"
        answer = self.ok_json("synth", path, "--preset", "tiny", "--format", "hf", "--layers", "6")
        self.assertEqual(answer["type"], "bf16")
        self.assertTrue((path / "config.json").is_file())
        self.assertEqual(self.ok_json("inspect", path)["source"], "hf")

    def test_what_is_no_synthetic_model_is_not_lost(self):
        args = ("--preset", "tiny", "--layers", "6")
        path = self.folder / "a.gguf"
        self.ok("synth", path, *args)
        self.ok("synth", path, *args, "--type", "q8_0")  # random weights can be made again
        path.write_bytes(b"GGUF" + b"synthetic gemma 4 is the name of a model of mine")
        self.fails(2, "synth", path, *args, says=["exists", "--force"])
        self.assertIn(b"mine", path.read_bytes())
        self.ok("synth", path, *args, "--force")
        self.assertEqual(self.ok_json("inspect", path)["source"], "gguf")

    def test_a_folder_is_never_replaced(self):
        path = self.folder / "folder"
        args = ("synth", path, "--preset", "tiny", "--layers", "6", "--format", "hf")
        self.ok(*args)
        for more in ([], ["--force"]):
            error = self.fails(2, *args, *more, says=["exists", "folder"])
            self.assertNotIn("--force", error["hint"])
        self.fails(1, "synth", path, "--preset", "tiny", says=str(path))
        file = self.file("file", "mine")
        for more in ([], ["--force"]):
            error = self.fails(2, "synth", file, "--preset", "tiny", "--format", "hf", *more, says="is a file")
            self.assertNotIn("--force", error["hint"])
        self.assertEqual(file.read_text(), "mine")
        self.assertEqual(self.ok_json("inspect", path)["source"], "hf")

    def test_usage(self):
        self.fails(2, "synth", "-", "--preset", "tiny", says="standard output")
        self.fails(2, "synth", says="OUT")
        self.fails(2, "synth", self.folder / "a", "b", says="b")
        self.fails(2, "synth", self.folder / "a", "--type", "q99", says="q99")
        self.fails(2, "synth", self.folder / "a", "--preset", "moon", says="moon")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_unwritable_and_full(self):
        self.fails(1, "synth", self.folder / "no" / "folder" / "a.gguf", "--preset", "tiny")
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        self.fails(1, "synth", self.folder / "a.gguf", "--preset", "tiny", preexec_fn=limit)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    main()
