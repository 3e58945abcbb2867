"""GGUF files that others made, with what other programs put into them: obeyed, refused or named. The text that comes
with them never reaches a terminal as commands."""

import os
import pty
import re
import struct
import subprocess
import unicodedata
import unittest

from gguf_edit import ARRAY, BOOL, F32, STRING, U32, GgufFile, Tensor, strings_of, text
from support import PROGRAM, ROOT, TIMEOUT_S, CliTest, clean_environment, lapidary, main

PEER = ROOT / "tests" / "data" / "peer" / "quant3-q4_0.gguf"
# The model is random: at this temperature it says something else with every token, and the same with every run.
SAYS = ("--temp", "2", "--seed", "7", "-p", "Hello")
HOSTILE = "a\x1b]0;owned\x07\x1b[31m | b\nc\u009b2J\u202e\x7f"


def on_terminal(*args):
    """stdout and stderr as a terminal of 80 columns would get them."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PROGRAM, *map(str, args)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                               env=clean_environment(NO_COLOR="1"))
    os.close(theirs)
    got = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        got += piece
    os.close(ours)
    process.wait(TIMEOUT_S)
    # The line of progress that it draws over is its own.
    return got.decode(errors="surrogateescape").replace("\r\n", "\n").replace("\r\x1b[K", "")


class ForeignGguf(CliTest):
    def setUp(self):
        super().setUp()
        self.gguf = GgufFile(PEER.read_bytes())

    def model(self, name="m.gguf"):
        return self.file(name, self.gguf.build())

    def notes(self, path):
        return self.ok_json("inspect", path)["notes"]

    def assert_tame(self, text):
        """Nothing that a terminal obeys but the ends of lines."""
        self.assertEqual(re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc80-\udcff]", text), [])

    def reply(self, path):
        return self.ok_json("run", path, *SAYS, "-n", "24")["tokens"]

    def test_every_verb_says_once_what_it_does_not_use(self):
        self.gguf.tensors[b"extra.weight"] = Tensor([4], 0, bytes(16))
        path, words, packed = self.model(), self.file("words.txt", "one two three four " * 8), self.folder / "p.lapidary"
        cores = os.cpu_count()
        verbs = {"run": ("-p", "Hi", "-n", "1"), "logits": ("--tokens", "2,3", "-o", self.folder / "rows", "--force"),
                 "bench": ("-p", "4", "-n", "0", "-r", "1", "-t", "1,2"), "pack": (packed,), "perplexity": (words,),
                 "kld": ("--base-precise", words, "-t", cores + 1)}
        for verb, rest in verbs.items():
            for json in ((), ("--json",)):
                with self.subTest(verb=verb, json=json):
                    packed.unlink(missing_ok=True)
                    done = lapidary(verb, path, *rest, *json)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(done.stderr.count(b"'extra.weight'"), 1, done.stderr)
                    self.assertEqual(done.stderr.count(b"wait for each other"), int(verb == "kld"), done.stderr)
                    self.assertNotIn(b"note:", done.stdout)
                    if verb != "pack":  # whose report lists tensors
                        self.assertNotIn(b"extra.weight", done.stdout)
                    packed.unlink(missing_ok=True)
                    self.assertNotIn(b"extra", lapidary(verb, path, *rest, *json, "-q").stderr)

    def test_the_file_as_it_came_needs_no_word(self):
        self.assertEqual(self.notes(self.model()), [])

    def test_end_of_message_id_ends_the_reply(self):
        path = self.model()
        whole = self.reply(path)
        self.assertGreater(len(whole), 6)
        end = next(i for i in range(3, len(whole)) if whole[i] not in whole[:i])
        for key in ("eot_token_id", "eom_token_id"):
            with self.subTest(key=key):
                self.gguf = GgufFile(PEER.read_bytes()).put("tokenizer.ggml." + key, U32, whole[end])
                short = self.ok_json("run", self.model(), *SAYS, "-n", "24")
                self.assertEqual([i for i in short["tokens"] if i != whole[end]], whole[:end])
                self.assertEqual(short["finish"], "stop")

    def test_an_equal_head_is_accepted_another_refused(self):
        whole, embedding = self.reply(self.model()), self.gguf.tensors[b"token_embd.weight"]
        self.gguf.tensors[b"output.weight"] = embedding
        path = self.model()
        self.assertEqual(self.reply(path), whole)
        self.assertEqual(self.notes(path), [])
        packed = self.folder / "m.lapidary"
        self.ok("pack", path, packed)
        self.assertEqual(self.reply(packed), whole)
        other = bytearray(embedding.data)
        other[1000] ^= 4
        self.gguf.tensors[b"output.weight"] = embedding._replace(data=bytes(other))
        self.fails(3, "run", self.model(), "-p", "Hello", says=("output.weight", "m.gguf"))
        self.fails(3, "pack", self.model(), self.folder / "other.lapidary", says=("output.weight", "m.gguf"))

    def test_what_is_not_needed_changes_nothing(self):
        whole = self.reply(self.model())
        self.gguf.tensors[b"extra.steps"] = Tensor([3], 27, bytes(24))
        self.gguf.tensors[b"extra.none"] = Tensor([0, 7], 0, b"")
        self.gguf.tensors[b"extra.new"] = Tensor([8], 250, bytes(16))
        nested = struct.pack("<IIQ", ARRAY, ARRAY, 1) + struct.pack("<IQI", U32, 1, 9)
        self.gguf.keys[b"vendor.nested"] = nested
        self.gguf.keys[b"k" * 65535] = struct.pack("<I?", BOOL, True)
        del self.gguf.keys[b"tokenizer.ggml.token_type"]
        self.gguf.put("tokenizer.ggml.padding_token_id", U32, 2**32 - 1).put("tokenizer.ggml.eos_token_id", U32, 2**31)
        path = self.model("MODEL.GGUF")
        self.assertEqual(self.reply(path), whole)
        notes = "\n".join(self.notes(path))
        for word in ("extra.steps", "eos_token_id", "2147483648", "of what type its tokens are"):
            self.assertIn(word, notes)
        types = {t["name"]: (t["type"], t["kernel"]) for t in self.ok_json("inspect", path)["tensors"]}
        self.assertEqual(types["extra.steps"], ("i64", "not used"))
        self.assertEqual(types["extra.new"], ("number 250", "not used"))
        packed = self.folder / "m.lapidary"
        self.ok("pack", path, packed)
        self.assertEqual(self.reply(packed), whole)

    def test_what_is_read_past_is_said(self):
        self.gguf.put("general.sampling.penalty_repeat", F32, 1.5).put("gemma4.new_idea", U32, 3)
        path = self.model()
        self.assertEqual(len(self.notes(path)), 2)
        said = lapidary("run", path, "-p", "Hello", "-n", "1").stderr.decode()
        self.assertIn("'general.sampling.penalty_repeat' is '1.5'", said)
        self.assertIn("'gemma4.new_idea'", said)
        quiet = lapidary("run", path, "-p", "Hello", "-n", "1", "-q").stderr.decode()
        self.assertNotIn("new_idea", quiet)

    def test_another_computation_is_refused(self):
        self.gguf.put("gemma4.rope.scaling.factor", F32, 8.0)
        self.fails(3, "run", self.model(), "-p", "Hello", says=("rope.scaling.factor", "8", "m.gguf"))

    def test_types_are_named(self):
        tensor = self.gguf.tensors[b"blk.0.ffn_down.weight"]
        for kind, name in ((39, "mxfp4"), (18, "iq3_xxs"), (24, "i8")):
            self.gguf.tensors[b"blk.0.ffn_down.weight"] = tensor._replace(kind=kind)
            error = self.fails(3, "run", self.model(), "-p", "x", says=(name, "blk.0.ffn_down.weight"))
            self.assertEqual(error["code"], "unsupported_model")
            self.assertNotIn("damaged", error["message"] + error["hint"])

    def test_other_kinds_are_named(self):
        empty = GgufFile(PEER.read_bytes())
        empty.tensors = {}
        adapter = GgufFile(PEER.read_bytes()).put("general.type", STRING, "adapter").put("adapter.type", STRING, "lora")
        matrix = GgufFile(PEER.read_bytes()).put("general.type", STRING, "imatrix")
        drafter = GgufFile(PEER.read_bytes()).put("general.architecture", STRING, "gemma4-assistant")
        for gguf, words in ((empty, "a vocabulary only"), (adapter, "an adapter (LoRA)"), (matrix, "an importance matrix"),
                            (drafter, "a drafter")):
            with self.subTest(words=words):
                error = self.fails(3, "run", self.file("x.gguf", gguf.build()), "-p", "x", says=(words, "x.gguf"))
                self.assertNotIn("damaged", error["message"] + error["hint"])
        for content, words in ((b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"<!DOCTYPE html>", "web page"),
                               (b"PK\x03\x04" + bytes(40), "zip archive")):
            with self.subTest(words=words):
                self.fails(3, "run", self.file("x.gguf", content), "-p", "x", says=(words, "x.gguf"))

    def test_a_part_without_the_others(self):
        self.gguf.put("split.no", U32, 1).put("split.count", U32, 3)
        self.fails(3, "run", self.model("m-00002-of-00003.gguf"), "-p", "x", says="part 1 of 3 is missing")
        self.fails(3, "run", self.model("renamed.gguf"), "-p", "x", says="one of 3 parts")

    def test_hostile_text_stays_text(self):
        self.gguf.put("general.name", STRING, HOSTILE).put("gemma4." + HOSTILE, U32, 1)
        self.gguf.put("general." + HOSTILE, STRING, HOSTILE).put("tokenizer.chat_template", STRING, HOSTILE)
        self.gguf.tensors[("x" + HOSTILE).encode()] = Tensor([1], 0, bytes(4))
        path = self.model("m\x1b[31m\n.gguf")
        for args in (["inspect", path, "--tensors", "--metadata", "--template"], ["run", path, "-p", "Hello", "-n", "2"],
                     ["bench", path, "-p", "8", "-n", "0", "-r", "1"], ["bench", path, "-p", "8", "-n", "0", "-r", "1",
                                                                       "--output", "csv"],
                     ["pack", path, self.folder / "p\x1b[2J.lapidary", "--force"], ["run", str(path) + "\x1b[5m", "-p", "x"],
                     ["perplexity", path, "--random-tokens", "40"], ["logits", path, "--tokens", "2", "--out",
                                                                     self.folder / "l\x1b[2J"]):
            with self.subTest(verb=args[0]):
                done = lapidary(*args)
                self.assert_tame((done.stdout + done.stderr).decode(errors="surrogateescape"))
                self.assert_tame(on_terminal(*args))
        table = self.ok("bench", path, "-p", "8", "-n", "0", "-r", "1")
        self.assertIn("| a\\x1b]0;owned\\x07\\x1b[31m \\| b\\nc\\u009b2J\\u202e\\x7f |", table)

    def test_tables_stay_aligned_with_wide_and_combining_characters(self):
        names = ("plain", "\u6771\u4eac", "e\u0301t\u00e9", "\U0001f600", "tab\there")
        for name in names:
            self.gguf.tensors[name.encode()] = Tensor([1], 0, bytes(4))
        lines = [line for line in self.ok("inspect", self.model(), "--tensors").splitlines()
                 if line.endswith("not used")]
        self.assertEqual(len(lines), len(names))

        def columns(text):
            return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
        self.assertEqual(len({columns(line[:line.index("f32")]) for line in lines}), 1, lines)

    def test_hostile_replies_are_tamed_on_a_terminal_only(self):
        # A piece that the model says is made an escape sequence.
        args = ["run", self.model("e.gguf"), *SAYS, "-n", "8"]
        answer = self.ok_json(*args)
        pieces = strings_of(self.gguf.keys[b"tokenizer.ggml.tokens"])
        said = next(i for i in answer["tokens"] if i not in answer["prompt_tokens"] and not pieces[i].startswith(b"<"))
        pieces[said] = b"\x1b[31mred"
        self.gguf.keys[b"tokenizer.ggml.tokens"] = struct.pack("<IIQ", ARRAY, STRING, len(pieces)) + b"".join(map(text, pieces))
        self.model("e.gguf")
        self.assertIn("\x1b[31mred", self.ok(*args))
        shown = on_terminal(*args, "-q")
        self.assertIn("\\x1b[31mred", shown)
        self.assert_tame(shown)


if __name__ == "__main__":
    main()
