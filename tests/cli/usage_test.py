"""Numbers, names and combinations that are wrong: exit 2 (5 for a GPU), one line that names them."""

import json
import unittest

from support import TINY, CliTest, clean_environment, lapidary, main

ASK = ["run", TINY, "-p", "hi"]


class Usage(CliTest):
    def test_numbers_out_of_range(self):
        for options in (["--max-tokens", "-3"], ["--max-tokens", "0"], ["--ctx", "0"], ["--ctx", "99999999999999"],
                        ["--threads", "0"], ["--threads", "-3"], ["--temp", "nan"], ["--temp", "-1"],
                        ["--temp", "inf"], ["--top-p", "1.5"], ["--min-p", "-0.1"], ["--top-k", "-2"], ["--top-p", "0"], ["--top-p", "nan"],
                        ["--image-tokens", "71"], ["--seed", "-2"]):
            with self.subTest(options=options):
                error = self.fails(2, *ASK, *options, says=options)
                self.assertEqual(error["code"], "invalid_argument")

    def test_not_numbers(self):
        for options in (["--max-tokens", "many"], ["--ctx", "8kk"], ["--temp", ""], ["--temp", "0,5"],
                        ["--top-k", "1.5"], ["--seed", "x"], ["--threads", "2x"]):
            with self.subTest(options=options):
                self.fails(2, *ASK, *options, says=options)

    def test_sizes_take_a_suffix(self):
        self.ok(*ASK, "--ctx", "1k", "--max-tokens", "1", "--temp", "0")

    def test_unknown_options_get_a_suggestion(self):
        self.fails(2, *ASK, "--tmep", "0", says=["--tmep", "did you mean --temp?"])
        self.fails(2, *ASK, "--max-token", "3", says="--max-tokens")
        self.fails(2, *ASK, "--frobnicate", says="--help")
        self.fails(2, *ASK, "--temperatur", "0", says="did you mean --temp?")
        for far in ("--usage", "-lk", "--bar"):
            error = self.fails(2, *ASK, far, says=far)
            self.assertNotIn("did you mean", error["hint"])

    def test_unknown_verbs(self):
        self.fails(2, "rum", says=["rum", "did you mean run?"])
        self.fails(2, "BENCH", says="did you mean bench?")
        self.fails(2, "quantise-everything", says="tokenize")

    def test_no_verb_shows_the_verbs(self):
        done = lapidary()
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertIn("tokenize", done.stderr.decode())

    def test_missing_values_repeats_and_extras(self):
        self.fails(2, *ASK, "--temp", "1", "--temp", "2", says=["--temp", "2 times"])
        self.fails(2, "run", TINY, "extra", "-p", "hi", says="extra")
        self.fails(2, "run", "-m", TINY, "extra", "-p", "hi", says="extra")
        done = lapidary(*ASK, "--stop")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--stop needs a value", done.stderr.decode())

    def test_values_that_are_syntax_elsewhere(self):
        for text in ("{}", "%%", "[]", "[a,b]", "{} %%", '"', "''", "\\", "~"):
            with self.subTest(text=text):
                messages = self.file("m.json", json.dumps({"messages": [{"role": "user", "content": text}]}))
                rendered = self.ok_json("tokenize", TINY, "--messages", messages)
                reply = self.ok_json("run", TINY, "-p", text, "--max-tokens", "1", "--temp", "0", "--stop", text)
                self.assertEqual(reply["prompt_tokens"], rendered["ids"])
        self.fails(2, "run", TINY, "-p", "{}", "-p", "%%", says=["--prompt", "2 times"])

    def test_choices(self):
        self.fails(2, *ASK, "--kv", "q4", says=["q4", "f16"])
        self.fails(2, *ASK, "--placement", "moon", says="moon")
        for given in (["--think", "maybe"], ["--think=false"], ["--think", "-n", "2"]):
            self.fails(2, *ASK, *given, says=[given[0].split("=")[0], "allowed are on|off"])
        self.fails(2, *ASK, "--think", "0", says="on|off|N")

    def test_words_of_llama_cpp_for_no_limit(self):
        full = lapidary("run", self.endless_model(), "-p", "Who are you?", "--ctx", "48", "-n", "-1", "--temp", "0")
        self.assertIn("the context of 48 tokens is full", full.stderr.decode())
        every = self.ok_json(*ASK, "--temp", "2", "--top-k", "0", "-s", "3", "-n", "20")["tokens"]
        self.assertEqual(self.ok_json(*ASK, "--temp", "2", "--top-k", "-1", "-s", "3", "-n", "20")["tokens"], every)
        seeds = {self.ok_json(*ASK, "-s", "-1", "-n", "1")["seed"] for _ in range(2)}
        self.assertEqual(len(seeds), 2)
        for verb in (ASK, ["bench", TINY], ["perplexity", TINY, "x"]):
            self.fails(2, *verb, "-c", "0", says=["--ctx is 0", "lapidary inspect"])

    def test_a_prompt_that_is_not_quoted(self):
        self.fails(2, "run", TINY, "Who", "are", "you", says=["unexpected argument 'are'", '"Who are'])

    def test_ranges_are_checked_before_the_model_is_read(self):
        for options in (["--top-p", "0"], ["--min-p", "2"], ["--temp", "-1"], ["--stop", b"\xff"], ["--system", b"\xff"]):
            with self.subTest(options=options):
                self.fails(2, "run", "absent.gguf", "-p", "x", *options, says=options[0])

    def test_types_of_files_are_not_chosen(self):
        for verb in ("bench", "plan"):
            self.fails(2, verb, TINY, "--type", "q8_0", says=["--type needs --synthetic", "pack"])
            self.fails(2, verb, TINY, "--layers", "3", says="--layers needs --synthetic")

    def test_what_a_verb_would_not_heed_is_refused(self):
        messages = self.file("m.json", '{"messages":[{"role":"user","content":"x"}]}')
        for options in (["--system", "x"], ["--think", "on"], ["--tools", "nowhere"], ["--raw"], ["--sound"], ["--frames", "4"]):
            with self.subTest(options=options):
                self.fails(2, "logits", TINY, "--tokens", "2,105", *options, "-o", self.folder / "rows", says="--tokens")
        self.fails(2, "tokenize", TINY, "x", "--think", "on", says="--think needs --messages")
        for option in ("--bos", "--special"):
            self.fails(2, "tokenize", TINY, "--messages", messages, option, says=option)
        self.fails(2, "tokenize", TINY, "-p", "-", "-f", messages, says="--file", stdin=b"x")
        for verb in ("plan", "inspect", "tune"):
            self.fails(2, verb, TINY, "--profile", says="--profile")

    def test_combinations(self):
        messages = self.file("m.json", '{"messages":[{"role":"user","content":"x"}]}')
        for options in (["-p", "x"], ["--image", "x.png"], ["--system", "x"], ["--raw"]):
            with self.subTest(options=options):
                self.fails(2, "run", TINY, "--messages", messages, *options, says="--messages")
        self.fails(2, *ASK, "--raw", "--system", "x", says="--raw")
        self.fails(2, *ASK, "--raw", "--think", "on", says="--raw")

    def test_a_gpu_asked_for_is_absent(self):
        for options in (["--placement", "split"], ["--gpu-layers", "3"], ["--split", "0.5"], ["--device", "99"],
                        ["--placement", "gpu", "--device", "no such device"]):
            with self.subTest(options=options):
                error = self.fails(5, *ASK, *options)
                self.assertEqual(error["code"], "device_unavailable")
        self.ok(*ASK, "-n", "1", "--gpu-layers", "0")
        no_driver = clean_environment(VK_ICD_FILENAMES="/nothing.json", VK_DRIVER_FILES="/nothing.json")
        for options, env in ((["--placement", "gpu"], no_driver), ([], {**no_driver, "LAPIDARY_PLACEMENT": "gpu"})):
            self.assertEqual(self.fails(5, *ASK, *options, env=env)["code"], "device_unavailable")
        # Without a model's weights nothing asks for a device.
        self.ok("tokenize", TINY, "hi", env={**no_driver, "LAPIDARY_PLACEMENT": "gpu"})
        self.ok("inspect", TINY, env={**no_driver, "LAPIDARY_PLACEMENT": "gpu"})

    def test_every_gpu_and_why_it_is_not_taken(self):
        report = self.ok_json("doctor")
        error = self.fails(5, *ASK, "--device", "no such device", says=[gpu["name"] for gpu in report["gpus"]])
        for gpu in report["gpus"]:
            for reason in gpu["reasons"]:
                self.assertIn(reason, error["message"])
        self.fails(5, "bench", "--synthetic", "12b", "--device", "no such device")  # before its weights are made

    def test_placements_that_contradict_each_other(self):
        self.fails(2, *ASK, "--placement", "cpu", "--device", "0", says=["--placement", "--device"])
        self.fails(2, *ASK, "--device", "", says="--device is empty")
        self.fails(2, *ASK, env=clean_environment(LAPIDARY_PLACEMENT="moon"), says=["LAPIDARY_PLACEMENT", "moon"])
        self.ok(*ASK, "-n", "1", "--placement", "cpu", env=clean_environment(LAPIDARY_PLACEMENT="gpu", LAPIDARY_DEVICE="no such device"))

    def test_what_this_version_lacks_is_said(self):
        for options in (["--draft", "f"], ["--video-tokens", "3"]):
            with self.subTest(options=options):
                self.fails(2, *ASK, *options, says=[options[0], "not available in this version"])

    def test_invalid_utf8_names_the_offset(self):
        self.fails(2, "run", TINY, "-p", "-", stdin=b"hello \xc3\x28", says="6")

    def test_prompt_longer_than_the_context(self):
        error = self.fails(1, "run", TINY, "-p", "Who are you?", "--ctx", "16", says=["17", "16"])
        self.assertEqual(error["code"], "context_full")

    def test_unsupported_isa_lists_those_that_work(self):
        self.fails(2, *ASK, env=clean_environment(LAPIDARY_CPU="quantum"), says=["quantum", "ref"])

    def test_help_fits_a_screen(self):
        for verb in ["run", "logits", "tokenize", "inspect", "bench", "synth", "doctor"]:
            with self.subTest(verb=verb):
                page = self.ok(verb, "--help")
                self.assertLessEqual(page.count("\n"), 66)
                self.assertLessEqual(max(map(len, page.splitlines())), 80)
                self.assertIn("--json", page)
        self.assertIn("tokenize", self.ok("--help"))

    def test_version(self):
        self.assertRegex(self.ok("--version"), r"^lapidary \d+\.\d+\.\d+\n$")
        self.assertEqual(f"lapidary {self.ok_json('--version')['version']}\n", self.ok("--version"))


if __name__ == "__main__":
    main()
