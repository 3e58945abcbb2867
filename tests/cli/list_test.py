"""Models that other programs keep: `lapidary list`, and their names as MODEL. Nothing is ever written into a store."""

import json
import os
import struct
import unittest

from companions_test import F16, projector
from gguf_edit import STRING, GgufFile, Tensor
from invented_stores import Ollama, environment_of, hub_model, put
from support import ROOT, SAMPLES, TINY, CliTest, lapidary, main

PEER = ROOT / "tests" / "data" / "peer" / "quant3-q4_0.gguf"  # random weights, with a tokenizer; width 256
GREEDY = ("--temp", "0", "-n", "8")
ROW = {"name", "program", "path", "bytes", "title", "type", "inputs", "fits", "total_bytes", "budget_bytes", "problem"}


def everything_in(folder):
    """Path -> size and time of change, of all files."""
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


class Stores(CliTest):
    def setUp(self):
        super().setUp()
        self.home = self.folder / "home"
        self.home.mkdir()
        self.env = environment_of(self.home)
        self.ollama = Ollama(self.home)

    def gemma(self, *more, place="registry.ollama.ai/library/gemma4/12b", model=None):
        return self.ollama.manifest(place, self.ollama.layer("model", model or PEER.read_bytes()), *more)

    def tiny_in_hub(self, repo="acme/tiny-it", **changed):
        files = {entry.name: entry for entry in TINY.iterdir() if entry.is_file()}
        return hub_model(self.home, repo, {**files, **changed})

    def rows(self, *args):
        report = self.ok_json("list", *args, env=self.env)
        return {row["name"]: row for row in report["models"]}

    def said(self, *args):
        done = lapidary(*args, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stderr.decode()


class List(Stores):
    def test_every_store_in_one_list(self):
        self.gemma(self.ollama.layer("projector", projector(F16, 2)), self.ollama.layer("draft", b"GGUF"))
        self.tiny_in_hub()
        put(self.home / ".lmstudio/models/pub/gemma/gemma-Q4_0.gguf", PEER.read_bytes())
        put(self.home / ".lmstudio/models/pub/gemma/mmproj-gemma-BF16.gguf", projector(30, 2))
        put(self.home / ".cache/llama.cpp/org_gemma_gemma-Q4_0.gguf", PEER.read_bytes())
        before = everything_in(self.home)
        rows = self.rows()
        for row in rows.values():
            self.assertEqual(set(row), ROW)
        want = {"ollama:gemma4:12b": ("Ollama", "q4_0", (True, False, True, True)),
                "hf:acme/tiny-it": ("Hugging Face", "bf16", (True, True, True, False)),
                "lmstudio:pub/gemma": ("LM Studio", "q4_0", (True, False, True, False)),
                "llama.cpp:org_gemma_gemma-Q4_0": ("llama.cpp", "q4_0", (True, False, False, False))}
        for name, (program, kind, inputs) in want.items():
            with self.subTest(name=name):
                row = rows[name]
                self.assertEqual((row["program"], row["type"], tuple(row["inputs"].values())), (program, kind, inputs))
                self.assertEqual((row["fits"], row["problem"]), (True, None))
                self.assertGreater(row["bytes"], 1 << 20)
                self.assertGreater(row["budget_bytes"], row["total_bytes"])
        self.assertEqual(rows["hf:acme/tiny-it"]["title"], "tiny-it")
        page = self.ok("list", env=self.env)
        for name in want:
            self.assertIn(name, page)
        self.assertIn("text, audio, drafter", page)
        self.assertLessEqual(set(want), set(self.ok("list", "--names", env=self.env).splitlines()))
        self.assertLessEqual(set(want), set(self.ok_json("list", "--names", env=self.env)["names"]))
        self.assertEqual(everything_in(self.home), before)

    def test_nothing_is_there(self):
        done = lapidary("list", env=self.env)
        self.assertEqual(done.returncode, 0)
        if not done.stdout:  # a machine may have Ollama's service
            self.assertIn(b".ollama/models", done.stderr)
        self.assertEqual(set(self.ok_json("list", env=self.env)), {"models", "problems", "folders"})

    def test_what_does_not_fit_says_so(self):
        self.gemma()
        row = self.rows("--memory", "20M")["ollama:gemma4:12b"]
        self.assertEqual((row["fits"], row["problem"]), (False, None))
        self.assertGreater(row["total_bytes"], row["budget_bytes"])
        self.assertIn("no: ", self.ok("list", "--memory", "20M", env=self.env))
        longer = self.rows("--ctx", "4096")["ollama:gemma4:12b"]["total_bytes"]
        self.assertLess(self.rows("--ctx", "64")["ollama:gemma4:12b"]["total_bytes"], longer)

    def test_split_files_count_once(self):
        part = GgufFile(PEER.read_bytes())
        names = list(part.tensors)
        folder = self.home / ".lmstudio/models/pub/split"
        tensors = part.tensors
        for number, chosen in enumerate((names[:9], names[9:])):
            part.tensors = {name: tensors[name] for name in chosen}
            part.keys[b"split.no"] = struct.pack("<IH", 2, number)
            part.keys[b"split.count"] = struct.pack("<IH", 2, 2)
            part.keys[b"split.tensors.count"] = struct.pack("<Ii", 5, len(names))
            put(folder / f"m-Q4_0-0000{number + 1}-of-00002.gguf", part.build())
        rows = self.rows()
        self.assertIsNone(rows["lmstudio:pub/split"]["problem"])
        self.assertEqual(rows["lmstudio:pub/split"]["bytes"], sum(f.stat().st_size for f in folder.iterdir()))
        self.ok("run", "lmstudio:pub/split", "Hi", *GREEDY, env=self.env)
        os.remove(folder / "m-Q4_0-00002-of-00002.gguf")
        self.assertIn("m-Q4_0-00002-of-00002.gguf", self.rows()["lmstudio:pub/split"]["problem"])
        self.fails(3, "run", "lmstudio:pub/split", "Hi", env=self.env, says="part 2 of 2")

    def test_damaged_ones_have_their_problem_in_their_row(self):
        o, library = self.ollama, "registry.ollama.ai/library/"
        self.gemma()
        put(o.root / "manifests" / library / "nojson/latest", "not json")
        put(o.root / "manifests" / library / "shape/latest", '{"layers": 7}')
        o.manifest(library + "climbs/latest", {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x", "size": 1})
        o.manifest(library + "gone/latest", {"mediaType": "application/vnd.ollama.image.model", "digest": o.digest(), "size": 1})
        short = o.layer("model", b"GGUF")
        o.manifest(library + "short/latest", {**short, "size": 5})
        o.manifest(library + "cut/latest", o.layer("model", PEER.read_bytes()[:5000]))
        o.manifest(library + "other/latest", o.layer("model", GgufFile(PEER.read_bytes()).put("general.architecture", STRING, "llama").build()))
        o.manifest(library + "mlx/latest", o.layer("tensor", b"x"))
        o.manifest(library + "adapted/latest", o.layer("model", b"x"), o.layer("adapter", b"x"))
        huge = o.manifest(library + "huge/latest")
        os.truncate(huge, 1 << 30)
        words = {"nojson": "not valid JSON", "shape": "no list of layers", "climbs": "sha256:../../x", "gone": "is not there",
                 "short": "has 4 bytes, its manifest says 5", "cut": "", "other": "'llama'", "mlx": "MLX", "adapted": "adapter",
                 "huge": "1073741824 bytes"}
        rows = self.rows()
        self.assertIsNone(rows["ollama:gemma4:12b"]["problem"])
        for name, problem in words.items():
            with self.subTest(name=name):
                row = rows[f"ollama:{name}:latest"]
                self.assertIn(problem, row["problem"])
                self.assertFalse(row["fits"])
                error = self.fails(3, "run", "ollama:" + name, "Hi", env=self.env)
                self.assertTrue(error["message"].endswith(row["problem"]), error["message"])
        page = self.ok("list", env=self.env)
        self.assertIn("cannot be opened here:", page)
        self.assertIn("not valid JSON", page)

    def test_folders_that_cannot_be_read(self):
        self.gemma()
        models = self.home / ".lmstudio" / "models"
        models.parent.mkdir()
        os.symlink("models", models)  # a loop: even root cannot enter
        report = self.ok_json("list", env=self.env)
        self.assertIn("ollama:gemma4:12b", [row["name"] for row in report["models"]])
        self.assertIn(str(models), [problem["folder"] for problem in report["problems"]])
        self.assertIn(str(models), self.said("list"))
        self.fails(3, "run", "lmstudio:a/b", "Hi", env=self.env, says=("cannot read the folder", str(models)))

    def test_hostile_names_stay_text(self):
        put(self.home / ".lmstudio/models/pub\x1b[31m/x\n\x1b]0;owned\x07/m-Q4_0.gguf", PEER.read_bytes())
        for args in (("list",), ("list", "--names")):
            done = lapidary(*args, env=self.env)
            self.assertNotIn(b"\x1b", done.stdout + done.stderr)
            self.assertIn(b"owned", done.stdout)


class Names(Stores):
    def test_the_answer_is_that_of_the_path(self):
        snapshot = self.tiny_in_hub()
        want = self.ok("run", TINY, "Who are you?", *GREEDY)
        before = everything_in(self.home)
        for name in ("hf:acme/tiny-it", "hf:tiny-it", "hf:ACME/Tiny-IT", "acme/tiny-it", "tiny-it"):
            with self.subTest(name=name):
                self.assertEqual(self.ok("run", name, "Who are you?", *GREEDY, env=self.env), want)
        image = ("-p", "What do you see?", "--image", SAMPLES / "image_2.png", "--temp", "0")
        self.assertEqual(self.ok("run", "hf:acme/tiny-it", *image, env=self.env), self.ok("run", TINY, *image))
        note = self.said("run", "tiny-it", "Hi", *GREEDY)
        self.assertIn("the model is 'hf:acme/tiny-it'", note)
        self.assertIn(str(snapshot), note)
        self.assertNotIn("the model is", self.said("run", "hf:acme/tiny-it", "Hi", *GREEDY))
        self.assertEqual(self.ok_json("inspect", "hf:acme/tiny-it", env=self.env)["name"], "tiny-it")
        self.assertEqual(everything_in(self.home), before)

    def test_every_verb_takes_a_name(self):
        self.gemma()
        words, packed = self.file("words.txt", "Who are you? " * 20), self.folder / "out.lapidary"
        name = "ollama:gemma4:12b"
        for args in (["tokenize", name, "Hi"], ["inspect", name], ["plan", name], ["perplexity", name, words],
                     ["logits", name, "--tokens", "2", "--out", self.folder / "rows"], ["bench", name, "-p", "8", "-n", "0", "-r", "1"],
                     ["kld", name, "--base", name, words], ["pack", name, packed]):
            with self.subTest(verb=args[0]):
                self.ok(*args, env=self.env)
        self.ok("run", "-m", name, "-p", "Hi", *GREEDY, env=self.env)
        self.ok("run", "Hi", *GREEDY, env={**self.env, "LAPIDARY_MODEL": name})
        self.fails(2, "inspect", name, "--verify", env=self.env, says=".lapidary")
        self.assertEqual(self.ok("run", packed, "Hi", *GREEDY), self.ok("run", PEER, "Hi", *GREEDY))
        blob = self.rows()[name]["path"]
        self.fails(2, "logits", name, "--tokens", "2", "--out", blob, "--force", env=self.env, says="the model itself")

    def test_a_path_that_exists_wins(self):
        self.gemma()
        os.mkdir(self.folder / "here")
        for name in ("gemma4:12b", "ollama:gemma4:12b"):
            (self.folder / "here" / name).write_bytes(b"words")
            error = self.fails(3, "run", name, "Hi", env=self.env, cwd=self.folder / "here")
            self.assertIn(name, error["message"])
        self.ok("run", "gemma4:12b", "Hi", *GREEDY, env=self.env)

    def test_names_that_do_not_exist(self):
        self.gemma()
        self.tiny_in_hub()
        for name, near in (("ollama:gemma4", "ollama:gemma4:12b"), ("gema4:12b", "ollama:gemma4:12b"), ("hf:acme/tini-it", "hf:acme/tiny-it")):
            with self.subTest(name=name):
                error = self.fails(3, "run", name, "Hi", env=self.env, says=(name, near))
                self.assertEqual(error["code"], "model_not_found")
        self.fails(3, "run", "gemma4:13b", env=self.env, stdin=b"hello", says="ollama:gemma4:12b")
        self.fails(3, "run", "llama.cpp:none", "Hi", env=self.env, says=".cache/llama.cpp")
        self.tiny_in_hub("other/tiny-it")
        error = self.fails(3, "run", "tiny-it", "Hi", env=self.env, says=("hf:acme/tiny-it", "hf:other/tiny-it"))
        self.assertIn("may be any of 2", error["message"])

    def test_variables_name_other_folders(self):
        self.gemma()
        self.tiny_in_hub()
        hub = self.home / ".cache" / "huggingface"
        for name, env in (("ollama:gemma4:12b", {"OLLAMA_MODELS": self.ollama.root}), ("hf:tiny-it", {"HF_HOME": hub}),
                          ("hf:tiny-it", {"HF_HUB_CACHE": hub / "hub"}), ("hf:tiny-it", {"XDG_CACHE_HOME": hub.parent})):
            with self.subTest(name=name, env=env):
                elsewhere = environment_of(self.folder / "nowhere", **{key: str(value) for key, value in env.items()})
                self.ok("tokenize", name, "Hi", env=elsewhere)
        self.fails(3, "tokenize", "hf:tiny-it", "Hi", env=environment_of(self.folder / "nowhere", HF_HUB_CACHE=str(self.folder)))
        put(self.home / ".lmstudio-home-pointer", str(self.folder / "studio"))
        put(self.folder / "studio/settings.json", json.dumps({"downloadsFolder": str(self.folder / "big")}))
        put(self.folder / "big/pub/gemma/m-Q4_0.gguf", PEER.read_bytes())
        self.ok("tokenize", "lmstudio:pub/gemma", "Hi", env=self.env)
        put(self.folder / "llama/a_b_m-Q4_0.gguf", PEER.read_bytes())
        self.ok("tokenize", "llamacpp:a_b_m-Q4_0.gguf", "Hi", env=environment_of(self.home, LLAMA_CACHE=str(self.folder / "llama")))

    def test_partial_snapshots(self):
        index = {"weight_map": {"model.a": "model-00001-of-00002.safetensors", "model.b": "model-00002-of-00002.safetensors"}}
        snapshot = self.tiny_in_hub("acme/part", **{"model.safetensors.index.json": json.dumps(index)})
        os.rename(snapshot / "model.safetensors", snapshot / "model-00001-of-00002.safetensors")
        self.fails(3, "run", "hf:acme/part", "Hi", env=self.env, says="model-00002-of-00002.safetensors")
        self.assertIn("model-00002-of-00002.safetensors", self.rows()["hf:acme/part"]["problem"])
        put(snapshot.parents[1] / "blobs" / "abc.incomplete", b"x")
        self.fails(3, "run", "hf:acme/part", "Hi", env=self.env, says=("model-00002-of-00002.safetensors", "abc.incomplete"))

    def test_links_out_of_the_cache(self):
        snapshot = self.tiny_in_hub()
        os.remove(snapshot / "config.json")
        os.symlink(TINY / "config.json", snapshot / "config.json")
        self.fails(3, "run", "hf:acme/tiny-it", "Hi", env=self.env, says="leads out of the folder")


    def test_a_name_alone_is_the_model(self):
        self.tiny_in_hub()
        self.assertEqual(self.ok("run", "tiny-it", *GREEDY, env=self.env, stdin=b"Who are you?"),
                         self.ok("run", TINY, "Who are you?", *GREEDY))
        self.assertEqual(self.ok("run", "tiny", *GREEDY, env=self.env, stdin=b""), self.ok("run", TINY, "tiny", *GREEDY))


class Companions(Stores):
    def test_the_projector_comes_along(self):
        sound = ("--audio", SAMPLES / "speech_1.wav", "-p", "Hi", *GREEDY)
        self.gemma()
        self.fails(1, "run", "ollama:gemma4:12b", *sound, env=self.env, says="keeps no projector")
        self.gemma(self.ollama.layer("projector", projector(F16, 2)))
        other = self.file("other.gguf", projector(F16, 2))
        want = self.ok_json("run", PEER, *sound, "--mmproj", other)["prompt_tokens"]
        self.assertEqual(self.ok_json("run", "ollama:gemma4:12b", *sound, env=self.env)["prompt_tokens"], want)
        self.assertEqual(len(self.ok_json("inspect", "ollama:gemma4:12b", env=self.env)["files"]), 2)
        self.fails(1, "run", "ollama:gemma4:12b", *sound, "--mmproj", "none", env=self.env, says="none")
        files = self.ok_json("inspect", "ollama:gemma4:12b", "--mmproj", other, env=self.env)["files"]
        self.assertEqual(files[1], str(other))
        self.gemma(self.ollama.layer("projector", b"GGUF, cut"))
        self.ok("run", "ollama:gemma4:12b", "Hi", *GREEDY, env=self.env)
        self.fails(3, "run", "ollama:gemma4:12b", *sound, env=self.env)

    def test_a_type_among_the_files_of_a_repository(self):
        q8 = (PEER.parent / "quant3-q8_0.gguf").read_bytes()
        hub_model(self.home, "org/gemma-GGUF", {"gemma-Q4_0.gguf": PEER, "gemma-Q8_0.gguf": q8, "mmproj-F16.gguf": projector(F16, 2),
                                                "mmproj-BF16.gguf": projector(30, 2)})
        rows = self.rows()
        self.assertEqual({rows["hf:org/gemma-GGUF:" + kind]["type"] for kind in ("Q4_0", "Q8_0")}, {"q4_0", "q8_0"})
        files = self.ok_json("inspect", "hf:org/gemma-gguf:q8_0", env=self.env)["files"]
        self.assertEqual([os.path.basename(file) for file in files], ["gemma-Q8_0.gguf", "mmproj-BF16.gguf"])
        self.fails(3, "inspect", "hf:org/gemma-GGUF", env=self.env, says=("hf:org/gemma-GGUF:Q4_0", "hf:org/gemma-GGUF:Q8_0"))
        self.fails(3, "inspect", "hf:org/gemma-GGUF:Q5_K", env=self.env, says="hf:org/gemma-GGUF:Q4_0")

    def test_towers_in_the_file_of_the_text(self):
        gguf = GgufFile(PEER.read_bytes()).put("tokenizer.ggml.model", STRING, "llama").put("tokenizer.ggml.pre", STRING, "gemma4")
        want = self.ok_json("run", PEER, "Hi", *GREEDY)["tokens"]
        self.gemma(model=gguf.build())
        self.assertEqual(self.ok_json("run", "ollama:gemma4:12b", "Hi", *GREEDY, env=self.env)["tokens"], want)
        sound = ("--audio", SAMPLES / "speech_1.wav", "-p", "Hi", *GREEDY)
        beside = self.file("p.gguf", projector(F16, 2))
        want = self.ok_json("run", PEER, *sound, "--mmproj", beside)["tokens"]
        gguf.tensors.update(GgufFile(beside.read_bytes()).tensors)
        self.gemma(model=gguf.build())
        self.assertEqual(self.ok_json("run", "ollama:gemma4:12b", *sound, env=self.env)["tokens"], want)
        gguf.tensors[b"v.blk.0.attn_q.weight"] = Tensor([4], 0, bytes(16))
        self.gemma(model=gguf.build())
        self.fails(3, "run", "ollama:gemma4:12b", "Hi", env=self.env, says=("encoders", "v.blk.0.attn_q.weight"))

    def test_parameters_below_the_users_options(self):
        # The model is random: at this temperature it says something, and the same with every run.
        ask = ("-p", "Hello", "-n", "24", "--seed", "7")
        plain = self.ok_json("run", PEER, *ask, "--temp", "2")
        stop = plain["text"][20:26]
        params = {"temperature": 2, "stop": [stop], "num_ctx": 64, "mirostat": 1}
        self.gemma(self.ollama.layer("params", json.dumps(params).encode()))
        kept = self.ok_json("run", "ollama:gemma4:12b", *ask, env=self.env)
        self.assertEqual((kept["text"], kept["finish"]), (plain["text"][:plain["text"].index(stop)], "stop"))
        own = self.ok_json("run", "ollama:gemma4:12b", *ask, "--stop", "never said", env=self.env)
        self.assertEqual(own["tokens"], plain["tokens"])
        cold = self.ok_json("run", "ollama:gemma4:12b", *ask, "--temp", "0", env=self.env)
        self.assertEqual(cold["tokens"], self.ok_json("run", PEER, *ask, "--temp", "0")["tokens"])
        note = self.said("run", "ollama:gemma4:12b", "Hi", "-n", "2")
        self.assertIn("temperature 2", note)
        self.assertIn("mirostat 1, num_ctx 64 not taken", note)
        self.assertEqual(self.ok_json("inspect", "ollama:gemma4:12b", env=self.env)["context"], 4096)
        self.assertNotIn("note", self.said("run", "ollama:gemma4:12b", "Hi", "-n", "2", "--quiet"))

    def test_the_system_prompt_where_there_is_no_other(self):
        self.gemma(self.ollama.layer("system", b"Be a pirate."))
        name = "ollama:gemma4:12b"

        def prompt(*args, env=None):
            return self.ok_json("run", *args, "-n", "1", env=env)["prompt_tokens"]
        want = prompt(PEER, "Hi", "--system", "Be a pirate.")
        self.assertEqual(prompt(name, "Hi", env=self.env), want)
        self.assertEqual(prompt(name, "Hi", "--system", "No.", env=self.env), prompt(PEER, "Hi", "--system", "No."))
        self.assertEqual(prompt(name, "Hi", "--raw", env=self.env), prompt(PEER, "Hi", "--raw"))
        for role in ("system", "developer", "user"):
            messages = self.file("m.json", json.dumps({"messages": [{"role": role, "content": "Yes."}, {"role": "user", "content": "Hi"}][role == "user":]}))
            with self.subTest(role=role):
                given = prompt(name, "--messages", messages, env=self.env)
                self.assertEqual(given, want if role == "user" else prompt(PEER, "--messages", messages))
                self.assertEqual(self.ok_json("tokenize", name, "--messages", messages, env=self.env)["ids"], given)
        self.assertIn("Be a pirate.", self.said("run", name, "Hi", "-n", "1"))
        self.assertEqual(lapidary("run", name, "Hi", "-n", "1", "-q", env=self.env).stderr, b"")
        for options, told in (([], True), (["--system", "No."], False)):
            done = lapidary("chat", name, "-n", "1", *options, stdin=b"Hi\n", env=self.env)
            self.assertEqual(b"Be a pirate." in done.stderr, told, done.stderr)
        packed = self.folder / "p.lapidary"
        self.assertIn("not in the packed file", self.said("pack", name, packed))


if __name__ == "__main__":
    main()
