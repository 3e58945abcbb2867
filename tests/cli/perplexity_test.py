"""`lapidary perplexity`: figures, sources of text, and everything that may be wrong with them."""

import json
import math
import struct
import unittest

from support import TINY, CliTest, main

TEXT = "<|turn>user\nWho are you?<turn|>\n<|turn>model\nI am a tiny demo model of the Gemma 4 architecture."
FIELDS = {"perplexity", "perplexity_error", "nll", "nll_error", "tokens", "contexts", "ctx", "stride", "model", "type",
          "kv", "precise", "isa", "threads", "seconds"}


class Perplexity(CliTest):
    def test_json(self):
        report = self.ok_json("perplexity", TINY, self.file("a.txt", TEXT), "--special")
        self.assertEqual(set(report), FIELDS)
        self.assertAlmostEqual(report["perplexity"], math.exp(report["nll"]), places=9)
        self.assertAlmostEqual(report["perplexity_error"], report["perplexity"] * report["nll_error"], places=9)
        self.assertEqual((report["ctx"], report["stride"], report["contexts"]), (512, 256, 1))
        self.assertEqual((report["model"], report["kv"], report["precise"]), ("tiny", "f16", False))

    def test_is_what_logits_say(self):
        ids = self.ok_json("tokenize", TINY, TEXT, "--special")["ids"]
        out = self.folder / "rows.f32"
        self.ok("logits", TINY, "--tokens", ",".join(map(str, [2] + ids[:-1])), "--all", "--out", out)
        data = out.read_bytes()
        nll = 0
        for i, token in enumerate(ids):
            row = struct.unpack_from("<2048f", data, i * 2048 * 4)
            top = max(row)
            nll += top + math.log(sum(math.exp(v - top) for v in row)) - row[token]
        report = self.ok_json("perplexity", TINY, self.file("a.txt", TEXT), "--special")
        self.assertEqual(report["tokens"], len(ids))
        self.assertAlmostEqual(report["nll"], nll / len(ids), places=10)

    def test_stdin_and_ids_are_the_same_text(self):
        ids = self.ok_json("tokenize", TINY, TEXT, "--special")
        values = {self.ok_json("perplexity", TINY, "-", "--special", stdin=TEXT.encode())["nll"],
                  self.ok_json("perplexity", TINY, "--tokens-file", self.file("ids.json", json.dumps(ids)))["nll"],
                  self.ok_json("perplexity", "-m", TINY, self.file("a.txt", TEXT), "--special")["nll"]}
        self.assertEqual(len(values), 1)

    def test_windows(self):
        report = self.ok_json("perplexity", TINY, "--random-tokens", 300, "--ctx", 64, "--stride", 16)
        self.assertEqual((report["tokens"], report["ctx"], report["stride"]), (300, 64, 16))
        self.assertEqual(report["contexts"], 1 + math.ceil((300 - 64) / 16))
        again = self.ok_json("perplexity", TINY, "--random-tokens", 300, "--ctx", 64, "--stride", 16)
        self.assertEqual(report["nll"], again["nll"])
        other = self.ok_json("perplexity", TINY, "--random-tokens", 300, "--ctx", 64, "--stride", 16, "--seed", 2)
        self.assertNotEqual(report["nll"], other["nll"])

    def test_limit(self):
        report = self.ok_json("perplexity", TINY, self.file("a.txt", TEXT), "--limit", 5)
        self.assertEqual(report["tokens"], 5)

    def test_for_people(self):
        page = self.ok("perplexity", TINY, self.file("a.txt", TEXT), "--special")
        self.assertIn("perplexity ", page)
        self.assertIn(" ± ", page)
        self.assertIn("in 1 context of 512, stride 256", page)

    def test_usage(self):
        text = self.file("a.txt", TEXT)
        self.fails(2, "perplexity", "-m", TINY, says="no text")
        self.fails(2, "perplexity", TINY, self.file("empty.txt", ""), says="empty")
        self.fails(2, "perplexity", TINY, self.file("bad.txt", b"a\xff\xfe"), says="UTF-8")
        self.fails(2, "perplexity", TINY, "--tokens-file", self.file("i.json", "[2]"), says="too few")
        self.fails(2, "perplexity", TINY, "--tokens-file", self.file("i.json", "[2,4096]"), says="4096")
        self.fails(2, "perplexity", TINY, "--tokens-file", text, says="token ids")
        self.fails(2, "perplexity", TINY, "--tokens-file", text, "--random-tokens", 3, says="exclude")
        self.fails(2, "perplexity", TINY, text, "--random-tokens", 3, says="unexpected argument")
        self.fails(2, "perplexity", TINY, text, "--ctx", 32, "--stride", 33, says=["33", "32"])
        self.fails(2, "perplexity", TINY, text, "--stride", 0, says="--stride")
        self.fails(2, "perplexity", TINY, text, "--ctx", 100000, says="4096")
        self.fails(1, "perplexity", TINY, self.folder / "absent.txt", says="absent.txt")
        self.fails(3, "perplexity", self.folder / "absent.gguf", text, says="absent.gguf")
        self.fails(5, "perplexity", TINY, text, "--device", "no such device")

    def test_model_without_tokenizer(self):
        synthetic = self.folder / "s.gguf"
        self.ok("synth", synthetic, "--preset", "tiny", "--type", "q4_0")
        error = self.fails(3, "perplexity", synthetic, self.file("a.txt", TEXT), says="tokenizer")
        self.assertIn("--random-tokens", error["hint"])
        self.assertGreater(self.ok_json("perplexity", synthetic, "--random-tokens", 20)["perplexity"], 1)


if __name__ == "__main__":
    main()
