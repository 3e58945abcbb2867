"""Strings and their ids, from the `tokenizers` library: tiny vocabulary (bundled) and the real one (not bundled)."""
import lzma
import random

from tokenizers import Tokenizer

from .environment import OUT, TINY, write_json

SPECIALS = "parsed, none added"
BY_HAND = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n" * 3, "\n" * 20, "\n" * 31, "\n" * 32, "\n" * 70, "\t",
    "\t\t\t", "\t\n", "\r\n", "\r", "\x0b\x0c", " \n ", "\n \n", " " * 31, " " * 32, " " * 100, "\xa0", "▁",
    "▁▁ ▁", "a▁b", "\u3000", "Hello", " Hello", "  Hello", "Hello ", "Hello  ", "Hello, world!",
    " Hello, world!", "\n =", "' era", "!!!!!!", "33333", "2024", "0123456789",
    "3.14159 == pi; x != 42 && y <= 7 || z >= 100", "Hello, world! 12345", "w048 7tuijk dsdfhu",
    "a  b   c    d", "trailing spaces   ", "  spaced  text\n", "alpha\n\nbeta", "The capital of France is",
    "The quick brown fox jumps over the lazy dog.", "the the the the", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "abcabcabc", "Who are you?", "I am a tiny demo model.", "What is the weather in Paris?",
    "What is 47 + 38?", "ied 4 ½ months", "Äpfel", "Cửa Việt", "Café naïve façade über Straße żółw język",
    "Cafe\u0301 (decomposed)", "你好，世界！", "状態を見て判断する。", "Привет, мир!", "κόσμος", "שלום עולם", "مرحبا بالعالم",
    "नमस्ते", "안녕하세요", "สวัสดี", "Hello 😀🔥 world 🌍✨ test 🤖", " this is 🦙.cpp", "👨\u200d👩\u200d👧\u200d👦",
    "🇩🇪", "\u200b\u200d\ufeff", "\ufffd", "\uffff", "\U0010ffff", "\ue000", "\x00", "a\x00b", "\x01\x02\x1b[0m",
    "\x7f", "\u0300\u0301\u0302", "e\u0301\u0301\u0301", "한글 mixed é 中 1", "ﬁ Ⅷ ²", "A\u030aA\u0308", "<bos>", "<bos><bos>", "<eos>",
    "<pad><unk><mask>", "<|turn>user\nHello<turn|>\n", "<|turn>model\n<|channel>thought\n<channel|>",
    "<bos><|turn>user\nWho are you?<turn|>\n<|turn>model\n", "<|turn>", " <|turn> ", "x<|turn>y",
    "<|turn><|turn>", "<|turn", "turn|>", "<|turn|>", "< |turn>", "<<|turn>>", "<|image|><|image><image|>",
    "<|audio|> <|audio> <audio|>", "<|video|>", "<|tool_call>call:f{a:<|\"|>b<|\"|>}<tool_call|>",
    "<|tool_response>", "<|think|>\n", "<start_of_turn>user\n", "</s>", "<unused49>", "<0x41>", "<0x0A>",
    "<0x", "[INST] <<SYS>>", "{\"a\": [1, 2.5, null, true], \"b\": \"c\\n\"}",
    "for (int i = 0; i < n; ++i) {\n    x[i] += 1;\n}", "def f(x):\n\treturn x  # tab\n",
    "https://example.org/a?b=c&d=%20#e", "user@example.org", "C:\\Users\\name", "a_b-c.d,e;f:g",
    "\"quoted\" 'single' “curly”", "— – … •", "x\n", "\nx", "x\n\n\ny\n", "\n\n \n\n", "UPPER lower MiXeD",
    "don't can't I'm", "1,234,567.89", "$5.00 €6 £7", "-1 +2 *3 /4",
]

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "abc ", "the is of a an ", "0123456789.,-+", " \n\t", "ABCdef \n",
    "aeiou tnshr.\n", "<|>turnimage", "äöüßéè abc", "你好世界 あい", "😀🚀✨ a", "▁ a",
    "\x00\x01\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
]


def _random_strings(count, seed):
    pick = random.Random(seed)
    for number in range(count):
        alphabet = ALPHABETS[number % len(ALPHABETS)]
        yield "".join(pick.choice(alphabet) for _ in range(pick.randint(1, 60)))


def _random_words(count, seed, words):
    pick = random.Random(seed)
    for _ in range(count):
        yield pick.choice(["", " ", "\n"]).join(pick.choice(words) for _ in range(pick.randint(2, 14)))


def _encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def _unique(strings):
    return list(dict.fromkeys(strings))


def _decodings(tokenizer, count, seed):
    """Ids that no encoder makes, whole characters cut in byte tokens among them, and what they decode to."""
    pick = random.Random(seed)
    size = tokenizer.get_vocab_size()
    first_byte = tokenizer.token_to_id("<0x00>")
    for number in range(count):
        if number % 3 == 0:
            ids = [pick.randrange(size) for _ in range(pick.randint(1, 12))]
        else:
            text = "".join(pick.choice("a\u00e9\u4e2d\U0001f600\U0001f916") for _ in range(pick.randint(1, 4)))
            ids = [first_byte + byte for byte in text.encode()]
            if number % 3 == 2:  # broken: one byte missing
                del ids[pick.randrange(len(ids))]
        yield {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=True),
               "text_with_specials": tokenizer.decode(ids, skip_special_tokens=False)}


def write_tiny():
    """Writes tokenizer.json: the bundled model's vocabulary."""
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    tokens = sorted(token for token in tokenizer.get_vocab() if len(token) > 2 and token[0] != "<")
    words = [token.replace("\u2581", " ") for token in tokens]
    strings = _unique([*BY_HAND, *_random_strings(130, 1), *_random_words(120, 2, words)])
    encoded = [{"text": text, "ids": _encode(tokenizer, text)} for text in strings]
    decoded = list(_decodings(tokenizer, 60, 3))
    header = {"vocabulary": "models/tiny/tokenizer.json", "special_tokens": SPECIALS}
    write_json(OUT / "tokenizer.json", header, encode=encoded, decode=decoded)
    return f"{len(encoded)} strings, {len(decoded)} id lists"


def write_real(path):
    """Writes tokenizer_real.json: strings and ids only, no part of the vocabulary itself."""
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    tokenizer = Tokenizer.from_str(data.decode())
    strings = _unique([*BY_HAND, *_random_strings(39, 4)])
    encoded = [{"text": text, "ids": _encode(tokenizer, text)} for text in strings]
    vocabulary = "the 262,144 pieces of Gemma 4; tests look for it outside the repository"
    write_json(OUT / "tokenizer_real.json", {"vocabulary": vocabulary, "special_tokens": SPECIALS}, encode=encoded)
    return f"{len(encoded)} strings"
