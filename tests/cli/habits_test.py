"""Habits of people who come from llama.cpp, ollama and hyperfine: names that work, and hints for those that do not."""

import json
import os
import subprocess
import unittest

from support import PROGRAM, TINY, CliTest, clean_environment, lapidary, main

QUESTION = "Who are you?"
ASK = ["run", TINY, "-p", QUESTION]


class Positionals(CliTest):
    def setUp(self):
        super().setUp()
        self.want = self.ok(*ASK, "--temp", "0")

    def test_model_and_text(self):
        self.assertEqual(self.ok("run", TINY, QUESTION, "--temp", "0"), self.want)
        self.assertEqual(self.ok("run", "--temp", "0", TINY, QUESTION), self.want)
        self.assertEqual(self.ok("run", "-m", TINY, QUESTION, "--temp", "0"), self.want)

    def test_text_alone(self):
        self.assertEqual(self.ok("run", QUESTION, "--temp", "0"), self.want)
        env = clean_environment(LAPIDARY_MODEL=str(TINY))
        self.assertEqual(self.ok("run", QUESTION, "--temp", "0", env=env), self.want)

    def test_what_looks_like_a_model_alone_is_one(self):
        for word in ("absent.gguf", "folder/absent", "./absent", "gemma4:12b", "ollama:gemma4:12b"):
            with self.subTest(word=word):
                error = self.fails(3, "run", word, stdin=b"hello")
                self.assertIn(word.removeprefix("./"), error["message"])
        self.assertNotEqual(self.ok("run", "Is 3/4 more than 1:2?", "--max-tokens", "2", "--temp", "0"), "")

    def test_two_dashes_end_the_options(self):
        dashed = json.loads(self.ok("run", TINY, "--temp", "0", "--json", "--", "--raw"))
        self.assertEqual(dashed["prompt_tokens"], self.ok_json("run", TINY, "-p", "--raw", "--temp", "0")["prompt_tokens"])
        self.assertEqual(self.ok("tokenize", "--", TINY, "-n"), self.ok("tokenize", TINY, "-p", "-n"))
        os.mkdir(self.folder / "d")
        done = lapidary("synth", "--preset", "tiny", "--", "-x.gguf", cwd=self.folder / "d")
        self.assertEqual((done.returncode, os.listdir(self.folder / "d")), (0, ["-x.gguf"]))

    def test_odd_texts_stay_as_they_are(self):
        for text in ("{}", "[1,2]", "%%", "a,b", "a=b", "'", '"', "-", "$HOME"):
            with self.subTest(text=text):
                ids = self.ok_json("tokenize", TINY, "-p", text, stdin=b"-")["ids"]
                self.assertEqual(self.ok_json("tokenize", TINY, stdin=text.encode())["ids"], ids)
                if text != "-":
                    self.assertEqual(self.ok_json("tokenize", TINY, f"--prompt={text}")["ids"], ids)

    def test_stdin_behind_the_prompt(self):
        joined = self.ok_json("run", TINY, "-p", "Summarise:\nA text.", "--temp", "0")["prompt_tokens"]
        for args in (["-p", "Summarise:", "-"], ["Summarise:", "-"]):
            with self.subTest(args=args):
                got = self.ok_json("run", TINY, *args, "--temp", "0", stdin=b"A text.")
                self.assertEqual(got["prompt_tokens"], joined)
        self.assertEqual(self.ok("run", TINY, "-", "--temp", "0", stdin=QUESTION.encode()), self.want)
        self.fails(2, "run", TINY, "-p", "-", "-", says="twice")
        self.fails(2, "run", TINY, "--messages", "x.json", "-", says="--messages")

    def test_stdin_that_is_not_read_is_said(self):
        done = lapidary(*ASK, "--temp", "0", stdin=b"A text.")
        self.assertEqual(done.stdout.decode(), self.want)
        self.assertIn("standard input was not read", done.stderr.decode())
        file = self.file("f", "A text.")
        with open(file, "rb") as stream:
            done = subprocess.run([PROGRAM, *map(str, ASK), "--temp", "0"], stdin=stream, capture_output=True,
                                  env=clean_environment(), check=True)
        self.assertIn("standard input was not read", done.stderr.decode())
        self.assertNotIn("standard input", lapidary(*ASK, "--temp", "0").stderr.decode())

    def test_prompt_from_a_file(self):
        file = self.file("prompt.txt", QUESTION)
        self.assertEqual(self.ok("run", TINY, "-f", file, "--temp", "0"), self.want)
        self.assertEqual(self.ok("run", TINY, "--file", "-", "--temp", "0", stdin=QUESTION.encode()), self.want)
        self.fails(2, *ASK, "-f", file, says="--file")
        self.fails(1, "run", TINY, "-f", self.folder / "absent.txt", says="absent.txt")


class Options(CliTest):
    def test_names_of_llama_cpp_that_work(self):
        want = self.ok_json(*ASK, "--temp", "0", "--max-tokens", "3", "--system", "Be brief.")
        for options in (["-temp", "0", "-n", "3", "-sys", "Be brief."],
                        ["--temperature", "0", "--n-predict", "3", "--system-prompt", "Be brief."],
                        ["--temperature=0", "--predict=3", "-system", "Be brief.", "-c", "1k", "-t", "1", "-s", "3"],
                        ["-temp", "0", "-n3", "-sys", "Be brief.", "--ctx-size", "512", "-ngl", "0", "-tb", "1"],
                        ["--temp", "0", "-n", "3", "-sys", "Be brief.", "--top-k", "40", "-top-p", "0.9", "-seed", "1"]):
            with self.subTest(options=options):
                got = self.ok_json(*ASK, *options)
                self.assertEqual((got["tokens"], got["prompt_tokens"]), (want["tokens"], want["prompt_tokens"]))

    def test_the_last_of_several_letters_takes_a_value(self):
        done = lapidary("run", TINY, "-p", QUESTION, "--temp", "0", "-qn", "2")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(done.stdout.decode(), self.ok(*ASK, "--temp", "0", "-n", "2"))

    def test_layers_on_a_gpu_need_one(self):
        for options in (["-ngl", "99"], ["--n-gpu-layers", "1"], ["-dev", "no such device"]):
            with self.subTest(options=options):
                self.assertEqual(self.fails(5, *ASK, *options)["code"], "device_unavailable")

    def test_hints(self):
        for options, hint in ((["--repeat-penalty", "1.1"], "--top-k"), (["--no-mmap"], "mapped"), (["--no-mmproj"], "--mmproj none"),
                              (["-fa", "on"], "leave it out"),
                              (["-ctk", "q8_0"], "--kv"), (["--cache-type-v", "f16"], "--kv"), (["--jinja"], "built in"),
                              (["-hf", "google/x"], "downloaded"), (["-cnv"], "lapidary chat"), (["-no-cnv"], "one prompt"),
                              (["-ub", "512"], "leave it out"), (["--verbose"], "--profile"), (["-v"], "--profile"),
                              (["--format", "json"], "--json"), (["-r", "User:"], "--stop"), (["--version"], "lapidary --version"), (["--numa", "distribute"], "numactl"), (["--prio", "2"], "nice"),
                              (["-j", "{}"], "schema"), (["--port", "1"], "server"), (["--override-kv", "a=b"], "model file"),
                              (["--verbose-prompt"], "tokenize"), (["-e"], "line ends"),
                              (["-lv", "3"], "--quiet")):
            with self.subTest(options=options):
                self.fails(2, *ASK, *options, says=["unknown option", options[0], hint])

    def test_hyperfine_and_llama_bench(self):
        self.fails(2, "bench", TINY, "--warmup", "3", says="warm-up")
        self.fails(2, "bench", TINY, "--export-json", "x", says="--output")
        args = ("-p", "8", "--n-gen", "0", "-t", "1")
        row, = self.ok("bench", TINY, *args, "--runs", "2", "--json").splitlines()
        self.assertEqual(json.loads(row)["reps"], 2)

    def test_an_alias_of_what_the_verb_lacks(self):
        self.fails(2, "tokenize", TINY, "x", "--temperature", "0", says="has no --temp")

    def test_words_behind_one_dash_are_not_misread(self):
        self.fails(2, "run", TINY, "-prio", "2", says="-prio")
        self.fails(2, *ASK, "-moe", says="-moe")
        self.fails(2, "run", TINY, "-phello", says=["-phello", "-p hello"])
        self.fails(2, *ASK, "--raw=yes", says="takes no value")

    def test_beginnings_are_suggested(self):
        self.fails(2, *ASK, "--max", "3", says="--max-tokens")
        self.fails(2, *ASK, "-quite", says="--quiet")

    def test_more_threads_than_cores(self):
        many = os.cpu_count() + 1
        done = lapidary("run", TINY, "hi", "--temp", "0", "-n", "1", "-t", many)
        self.assertIn(f"{many} threads on", done.stderr.decode())
        self.assertNotIn("threads on", lapidary(*ASK, "--temp", "0", "-t", "1").stderr.decode())


class Verbs(CliTest):
    def test_help_in_every_place(self):
        want = self.ok("bench", "--help")
        for args in (["help", "bench"], ["bench", "help"], ["--help", "bench"], ["bench", "-h"],
                     ["bench", TINY, "--nonsense", "--help"]):
            with self.subTest(args=args):
                self.assertEqual(self.ok(*args), want)
        self.assertEqual(self.ok("help"), self.ok("--help"))
        self.assertEqual(self.ok("help", "help"), self.ok("--help"))
        for verb in ("completions", "man"):
            self.assertIn(f"\n  {verb} ", self.ok("help"))
        for verb in ("run", "man"):
            self.assertFalse(any(line.endswith(" ") for line in self.ok(verb, "--help").splitlines()))
        self.assertEqual(self.fails(2, "man", "x")["hint"], "usage: lapidary man")
        self.fails(2, "help", "bnch", says="did you mean bench?")
        self.assertNotIn("usage", self.ok("run", TINY, "help", "--temp", "0", "-n", "2"))

    def test_version(self):
        want = self.ok("--version")
        for word in ("version", "-V"):
            self.assertEqual(self.ok(word), want)

    def test_later_verbs(self):
        for verb in ("serve",):
            with self.subTest(verb=verb):
                error = self.fails(2, verb, TINY, says=[verb, "not in this version"])
                self.assertNotEqual(error["hint"], "")

    def test_verbs_of_others(self):
        for verb, ours in (("quantize", "pack"), ("convert", "pack"), ("ppl", "perplexity"), ("show", "inspect"),
                           ("completion", "run"), ("benchmark", "bench"), ("pull", "downloaded"), ("ls", "lapidary list")):
            with self.subTest(verb=verb):
                self.fails(2, verb, says=[verb, ours])

    def test_what_stands_where_a_verb_belongs(self):
        self.fails(2, TINY, "-p", "x", says=["verb is missing", "lapidary run"])
        self.fails(2, "-m", TINY, "run", says="before the verb")


if __name__ == "__main__":
    main()
