"""`lapidary logits`: rows on disk, whole or absent."""

import json
import os
import resource
import struct
import unittest

from support import SAMPLES, TINY, CliTest, lapidary, main

VOCAB = 2048


def marked(path):
    """Whether the file system keeps the mark by which `logits` knows a file of its own."""
    return "user.lapidary.rows" in os.listxattr(path)


class Logits(CliTest):
    def rows(self, path):
        data = path.read_bytes()
        self.assertEqual(len(data) % (4 * VOCAB), 0)
        values = struct.unpack(f"<{len(data) // 4}f", data)
        return [values[i:i + VOCAB] for i in range(0, len(values), VOCAB)]

    def test_last_row_matches_the_reference(self):
        case = json.loads((TINY / "reference.json").read_text())["cases"][0]
        out = self.folder / "last.f32"
        ids = ",".join(map(str, case["input_ids"]))
        answer = self.ok_json("logits", TINY, "--tokens", ids, "--out", out, "--precise")
        self.assertEqual((answer["prompt_tokens"], answer["rows"]), (case["input_ids"], 1))
        row = self.rows(out)[0]
        # The reference is f32 over the same stored bf16 weights; 1e-3 is 100 times f32's rounding over the
        # widest sum (512 terms) at the soft cap's 30, and far below what one wrong weight would change.
        for token, value in case["first_step_top5"]:
            self.assertAlmostEqual(row[token], value, delta=1e-3)
        self.assertEqual(max(range(VOCAB), key=row.__getitem__), case["first_step_top5"][0][0])

    def test_all_rows_end_with_the_last(self):
        last, every = self.folder / "last.f32", self.folder / "all.f32"
        self.ok("logits", TINY, "--tokens", "2,15,389,281", "--out", last)
        self.assertEqual(self.ok_json("logits", TINY, "--tokens", "2 15 389 281", "--all", "--out", every)["rows"], 4)
        rows = self.rows(every)
        self.assertEqual(len(rows), 4)
        self.assertEqual(rows[-1], self.rows(last)[0])

    def test_tokens_from_a_file(self):
        out = self.folder / "a.f32"
        for content in ["[2, 15, 389]", '{"ids": [2, 15, 389], "pieces": []}']:
            ids = self.file("ids.json", content)
            self.assertEqual(self.ok_json("logits", TINY, "--tokens-file", ids, "--out", out, "--force")["prompt_tokens"],
                             [2, 15, 389])

    def test_prompts_like_run(self):
        out = self.folder / "a.f32"
        answer = self.ok_json("logits", TINY, "-p", "What do you see?", "--image", SAMPLES / "image_2.png",
                              "--out", out)
        run = self.ok_json("run", TINY, "-p", "What do you see?", "--image", SAMPLES / "image_2.png",
                           "--max-tokens", "1")
        self.assertEqual(answer["prompt_tokens"], run["prompt_tokens"])
        self.assertEqual(answer["rows"], 1)

    def test_existing_file_is_replaced_and_nothing_else_is_left(self):
        out = self.file("a.f32", bytes(3 * 2048 * 4))
        self.ok("logits", TINY, "--tokens", "2", "--out", out, "--force")
        self.assertEqual(len(self.rows(out)), 1)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["a.f32"])

    def test_bad_token_ids(self):
        out = self.folder / "a.f32"
        for ids in ["2048", "2,99999999999", "-1", "two", "", "2,,3"]:
            with self.subTest(ids=ids):
                self.fails(2, "logits", TINY, f"--tokens={ids}", "--out", out)
        for content in ["", "{}", "[2, -1]", "[2.5]", '["a"]', "[2", "[]", "[1e99]"]:
            with self.subTest(content=content):
                self.fails(2, "logits", TINY, "--tokens-file", self.file("ids.json", content), "--out", out)
        self.assertFalse(out.exists())

    def test_id_outside_the_vocabulary_names_the_numbers(self):
        self.fails(2, "logits", TINY, "--tokens", "2,2048", "--out", self.folder / "a", says=["2048"])

    def test_needs_an_output_and_one_input(self):
        self.fails(2, "logits", TINY, "--tokens", "2", says="--out")
        self.fails(2, "logits", TINY, "--tokens", "2", "-p", "x", "--out", self.folder / "a", says="exclude")

    def test_unwritable_outputs(self):
        for out in [self.folder / "no" / "such" / "folder" / "a", self.folder]:
            with self.subTest(out=out):
                self.fails(1, "logits", TINY, "--tokens", "2", "--out", out, says=str(out))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_full_device(self):
        self.fails(1, "logits", TINY, "--tokens", "2", "--out", "/dev/full", says="No space left")

    def test_full_disk_leaves_nothing(self):
        def limit():  # as a disk with 10 kB left: the second row does not fit
            resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
        out = self.folder / "a.f32"
        self.fails(1, "logits", TINY, "--tokens", "2,15,389", "--all", "--out", out, says="cannot write",
                   preexec_fn=limit)
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_is_not_rows_is_not_lost(self):
        out = self.folder / "out"
        ask = ("logits", TINY, "--tokens", "2,3", "--out", out)
        self.ok(*ask, "--all")
        if marked(out):
            self.ok(*ask)  # rows are replaced by rows
            self.assertEqual(out.stat().st_size, 2048 * 4)
            out.write_bytes(out.read_bytes()[::-1])  # somebody's work, of the same size
            self.fails(2, *ask, says=["exists", "--force"])
        out.write_text("a letter" * 1024)
        self.fails(2, *ask, says=["exists", "--force"])
        self.assertEqual(out.read_text(), "a letter" * 1024)
        self.ok(*ask, "--force")
        self.assertEqual(out.stat().st_size, 2048 * 4)

    def test_rows_on_standard_output(self):
        out = self.folder / "a.f32"
        self.ok("logits", TINY, "--tokens", "2,15", "--all", "--out", out)
        done = lapidary("logits", TINY, "--tokens", "2,15", "--all", "--out", "-")
        self.assertEqual((done.returncode, done.stdout), (0, out.read_bytes()))
        self.file("-", "somebody's letter")
        done = lapidary("logits", TINY, "--tokens", "2,15", "--all", "--out", "-", cwd=self.folder)
        self.assertEqual((done.returncode, done.stdout), (0, out.read_bytes()), done.stderr)
        done = lapidary("logits", TINY, "--tokens", "2", "--out", "-", "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["error"]["code"]), (2, "invalid_argument"))

    def test_what_is_no_trace_is_not_lost(self):
        trace = self.file("trace.json", "{\"traceEvents\": [], \"mine\": 1}")
        ask = ("logits", TINY, "--tokens", "2,3", "--out", "/dev/null", "--trace", trace)
        self.fails(2, *ask, says=["exists", "trace", "--force"])
        self.assertIn("mine", trace.read_text())
        self.ok(*ask, "--force")
        self.ok(*ask)  # a trace is replaced by a trace


if __name__ == "__main__":
    main()
