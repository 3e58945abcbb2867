"""Texts from files and standard input: the same in every verb, whatever encoding an editor gave them."""

import json
import unittest

from support import TINY, CliTest, lapidary, main

QUESTION = "Who are you?"
LONG = "What do you see? A pink square and a yellow triangle. " * 4


class Encodings(CliTest):
    def ids(self, *args, **options):
        return self.ok_json("tokenize", TINY, *args, **options)["ids"]

    def test_a_mark_at_the_beginning_is_no_text(self):
        want = self.ids("-p", QUESTION)
        marked = self.file("marked.txt", "\ufeff" + QUESTION)
        rendered = self.ok_json("run", TINY, QUESTION, "--temp", "0", "-n", "1")["prompt_tokens"]
        self.assertEqual(self.ids("-f", marked), want)
        self.assertEqual(self.ids("-", stdin=marked.read_bytes()), want)
        for args in (["-f", marked], ["-p", "-"], []):
            got = self.ok_json("run", TINY, *args, "--temp", "0", "-n", "1", stdin=marked.read_bytes())
            self.assertEqual(got["prompt_tokens"], rendered)
        pure, marked = self.file("pure.txt", LONG), self.file("marked2.txt", "\ufeff" + LONG)
        self.assertEqual(self.ok_json("perplexity", TINY, pure)["tokens"], self.ok_json("perplexity", TINY, marked)["tokens"])
        self.assertEqual(self.ids("-p", "a\ufeffb"), self.ids("-", stdin="a\ufeffb".encode()), "inside a text it stays")

    def test_utf16_is_refused_with_what_to_do(self):
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            file = self.file("wide.txt", "Grüße an alle.\n".encode(encoding))
            for args in (["run", TINY, "-f", file], ["tokenize", TINY, "-f", file], ["perplexity", TINY, file],
                         ["kld", TINY, "--base-kv", "f32", file], ["run", TINY, "--messages", file]):
                with self.subTest(encoding=encoding, args=args):
                    self.fails(2, *args, says=["UTF-16", "iconv"])
            self.fails(2, "tokenize", TINY, "-", stdin=file.read_bytes(), says="UTF-16")

    def test_nul_bytes_are_no_text(self):
        for args in (["run", TINY], ["tokenize", TINY, "-p", "-"], ["perplexity", TINY, "-"]):
            with self.subTest(args=args):
                self.fails(2, *args, stdin=b"a text and\0 more of it", says=["standard input", "offset 10"])


class StandardInput(CliTest):
    def test_tokenize(self):
        want = self.ok("tokenize", TINY, "one two")
        for args in (["-"], [TINY, "-"], ["-f", "-"], [TINY]):
            with self.subTest(args=args):
                self.assertEqual(self.ok("tokenize", *args, stdin=b"one two"), want)
        self.assertEqual(self.ok("tokenize", TINY, "one", "-", stdin=b"two"), self.ok("tokenize", TINY, "-p", "one\ntwo"))
        self.fails(2, "tokenize", TINY, "-p", "x", "-f", "y", says="--file")

    def test_perplexity(self):
        want = self.ok_json("perplexity", TINY, self.file("t.txt", LONG))["perplexity"]
        for args in ([TINY], ["-m", TINY], [], ["-"], [TINY, "-"], [TINY, "-f", "-"]):
            with self.subTest(args=args):
                self.assertEqual(self.ok_json("perplexity", *args, stdin=LONG.encode())["perplexity"], want)
        self.assertEqual(self.ok_json("perplexity", self.folder / "t.txt")["perplexity"], want, "one argument is FILE")

    def test_a_text_that_is_missing(self):
        model = self.folder / "absent.gguf"
        self.fails(2, "perplexity", TINY, says="FILE is missing")
        self.fails(2, "kld", TINY, "--base", TINY, says="FILE is missing")
        self.fails(1, "kld", self.folder / "absent.txt", says="absent.txt")
        self.fails(3, "perplexity", model, says=["no file", "absent.gguf"])

    def test_a_model_that_is_missing_comes_before_the_prompt(self):
        for verb in (["run"], ["tokenize"], ["logits", "--out", "/dev/null"]):
            for args in ([self.folder / "absent.gguf"], ["-m", self.folder / "nope"]):
                with self.subTest(verb=verb, args=args):
                    self.fails(3, *verb, *args, says=str(args[-1]))

    def test_empty_prompts_are_alike(self):
        empty = self.file("empty.txt", "")
        for verb in (["run", TINY], ["logits", TINY, "--out", "/dev/null"]):
            for args in (["-p", ""], ["-f", empty], ["-p", "-"], [], ["-f", self.file("mark.txt", "\ufeff")]):
                with self.subTest(verb=verb[0], args=args):
                    self.fails(2, *verb, *args, says=["no prompt", "empty"])
        self.assertEqual(self.ok_json("run", TINY, "--raw", "-p", "", "-n", "1")["prompt_tokens"], [2])


class Flags(CliTest):
    def test_what_is_no_flag_asks_for_no_json(self):
        for args in (["-n", "2", "--", "--json"], ["-p", "--json", "-n", "2"]):
            text = self.ok("run", "-m", TINY, "--temp", "0", *args)
            self.assertFalse(text.startswith("{"), text)
        self.assertRegex(self.ok("tokenize", "--", "--json"), r"^\d+(,\d+)*\n$")
        self.assertEqual(json.loads(self.ok("tokenize", "--json", "--", "--json"))["ids"],
                         self.ok_json("tokenize", "-p", "--json")["ids"])

    def test_errors_come_as_json_wherever_it_stands(self):
        for args in (["run", "--bogus", "--json"], ["run", "--json", "--temp", "x"], ["nonsense", "--json"], ["run", "--json", "-p"]):
            with self.subTest(args=args):
                done = lapidary(*args)
                self.assertEqual((done.returncode, json.loads(done.stdout)["error"]["code"]), (2, "invalid_argument"))
        done = lapidary("nonsense", "--", "--json")
        self.assertEqual((done.returncode, done.stdout), (2, b""))


if __name__ == "__main__":
    main()
