"""`lapidary tokenize`: ids, pieces, conversations, and text that is no text."""

import json
import unittest

from gguf_edit import GgufFile
from support import ROOT, SAMPLES, TINY, CliTest, main

PEER = ROOT / "tests" / "data" / "peer" / "quant3-q4_0.gguf"


class Tokenize(CliTest):
    def test_ids_on_one_line(self):
        line = self.ok("tokenize", TINY, "Who are you?")
        self.assertEqual(line.count("\n"), 1)
        ids = [int(word) for word in line.split(",")]
        self.assertEqual(ids, self.ok_json("tokenize", TINY, "Who are you?")["ids"])

    def test_pieces_spell_the_text(self):
        answer = self.ok_json("tokenize", TINY, "Who are you?")
        self.assertEqual(len(answer["pieces"]), len(answer["ids"]))
        self.assertEqual("".join(answer["pieces"]).replace("\u2581", " "), "Who are you?")

    def test_one_positional_is_the_text(self):
        self.assertEqual(self.ok_json("tokenize", "Who are you?"), self.ok_json("tokenize", TINY, "Who are you?"))
        self.assertEqual(self.ok_json("tokenize", "-m", TINY, "run"), self.ok_json("tokenize", TINY, "run"))

    def test_text_from_stdin(self):
        want = self.ok("tokenize", TINY, "one two")
        self.assertEqual(self.ok("tokenize", "-m", TINY, stdin=b"one two"), want)
        self.assertEqual(self.ok("tokenize", TINY, "-p", "-", stdin=b"one two"), want)

    def test_special_and_bos(self):
        plain = self.ok_json("tokenize", TINY, "<bos>")["ids"]
        special = self.ok_json("tokenize", TINY, "<bos>", "--special")["ids"]
        self.assertEqual(special, [2])
        self.assertNotIn(2, plain)
        self.assertEqual(self.ok_json("tokenize", TINY, "a", "--bos")["ids"][0], 2)

    def test_conversation(self):
        messages = self.file("m.json", json.dumps({"messages": [{"role": "user", "content": "Who are you?"}]}))
        answer = json.loads(self.ok("tokenize", TINY, "--messages", messages))
        self.assertEqual(set(answer), {"prompt", "ids"})
        self.assertIn("<|turn>user\nWho are you?<turn|>", answer["prompt"])
        again = self.ok_json("tokenize", "-m", TINY, "--messages", "-", stdin=messages.read_bytes())
        self.assertEqual(again, answer)

    def test_odd_texts_keep_their_bytes(self):
        for text in ["", "[a,b]", "{}", "-", "--", "%%", " ", "\u00e9\u4e16\U0001f600", "a\nb\n"]:
            with self.subTest(text=text):
                answer = self.ok_json("tokenize", TINY, stdin=text.encode(), *["-p", "-"])
                direct = self.ok_json("tokenize", TINY, f"--prompt={text}") if text not in ("", "-") else answer
                self.assertEqual(direct, answer)

    def test_invalid_utf8_names_the_offset(self):
        self.fails(2, "tokenize", TINY, "-p", "-", stdin=b"good \xff bad", says="5")

    def test_bad_conversations(self):
        for text in ["", "{", "[]", '{"messages": 3}', '{"messages": [{"role": "king", "content": "x"}]}',
                     '{"messages": [{"role": "user", "content": [{"type": "smell"}]}]}']:
            with self.subTest(text=text):
                self.fails(2, "tokenize", TINY, "--messages", self.file("bad.json", text))


class WithoutWeights(CliTest):
    """Ids come from the tokenizer: what else a file holds may be cut off or missing, and other verbs say so."""

    def same_ids(self, part, whole):
        words = ("A red <bos> circle, na\u00efve \U0001f600", "--special")
        self.fails(3, "run", part, "-p", "Hi")
        self.assertEqual(self.ok_json("tokenize", part, *words), self.ok_json("tokenize", whole, *words))

    def same_prompt(self, part, whole):
        messages = self.file("m.json", json.dumps({"messages": [{"role": "user", "content": [
            {"type": "image", "path": str(SAMPLES / "image_1.png")}, {"type": "text", "text": "What is it?"},
            {"type": "audio", "path": str(SAMPLES / "speech_1.wav")}]}]}))
        want = self.ok_json("logits", whole, "--messages", messages, "-o", self.folder / "rows")["prompt_tokens"]
        self.assertEqual(self.ok_json("tokenize", part, "--messages", messages)["ids"], want)

    def test_gguf(self):
        content = PEER.read_bytes()
        self.same_ids(self.file("cut.gguf", content[:len(content) // 4]), PEER)

    def test_vocabulary_alone(self):
        gguf = GgufFile(PEER.read_bytes())
        gguf.tensors.clear()
        self.same_ids(self.file("vocabulary.gguf", gguf.build()), PEER)

    def test_first_part_of_a_split_model(self):
        gguf = GgufFile(PEER.read_bytes())
        gguf.keys |= {b"split.no": b"\2\0\0\0\0\0", b"split.count": b"\2\0\0\0\2\0"}
        self.same_ids(self.file("m-00001-of-00002.gguf", gguf.build()), PEER)

    def test_folder(self):
        folder = self.tiny_copy()
        (folder / "model.safetensors").unlink()
        self.same_ids(folder, TINY)
        self.same_prompt(folder, TINY)

    def test_packed(self):
        packed = self.folder / "whole.lapidary"
        self.ok("pack", TINY, packed)
        cut = self.file("cut.lapidary", packed.read_bytes()[:1 << 20])
        self.same_ids(cut, packed)
        self.same_prompt(cut, packed)

    def test_a_model_of_another_kind_stays_one(self):
        gguf = GgufFile(PEER.read_bytes())
        gguf.keys[b"general.architecture"] = b"\x08\0\0\0\5\0\0\0\0\0\0\0llama"
        self.fails(3, "tokenize", self.file("llama.gguf", gguf.build()), "Hi", says="llama")


if __name__ == "__main__":
    main()
