"""`lapidary run`: answers, JSON, streaming, sampling options, media order."""

import json
import signal
import subprocess
import time
import unittest

from support import PROGRAM, SAMPLES, TINY, CliTest, clean_environment, lapidary, main

QUESTION = "Who are you?"
ANSWER = ("I am a tiny demo model of the Gemma 4 architecture. I can read text, look at pictures, "
          "listen to speech and watch short videos.")


class Run(CliTest):
    def test_answer_on_stdout_timing_on_stderr(self):
        done = lapidary("run", TINY, "-p", QUESTION, "--temp", "0")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.decode(), ANSWER + "\n")
        error = done.stderr.decode()
        self.assertIn("tok/s", error)
        self.assertIn("first token", error)
        self.assertNotIn("\x1b", error, "no colours without a terminal")

    def test_quiet_leaves_stderr_empty(self):
        done = lapidary("run", TINY, "-p", QUESTION, "--temp", "0", "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_bundled_model_is_named_on_stderr(self):
        done = lapidary("run", "-p", QUESTION, "--temp", "0")
        self.assertEqual(done.stdout.decode(), ANSWER + "\n")
        self.assertIn("bundled", done.stderr.decode())

    def test_model_from_environment_and_flag(self):
        env = clean_environment(LAPIDARY_MODEL=str(TINY))
        done = lapidary("run", "-p", QUESTION, "--temp", "0", env=env)
        self.assertEqual(done.stdout.decode(), ANSWER + "\n")
        self.assertIn("LAPIDARY_MODEL", done.stderr.decode())
        self.assertEqual(self.ok("run", "-m", TINY, "-p", QUESTION, "--temp", "0"), ANSWER + "\n")

    def test_json_object(self):
        reply = self.ok_json("run", TINY, "-p", QUESTION, "--temp", "0")
        self.assertEqual(reply["text"], ANSWER)
        self.assertEqual((reply["thinking"], reply["tool_calls"], reply["finish"]), ("", [], "stop"))
        self.assertEqual(reply["usage"]["prompt"], len(reply["prompt_tokens"]))
        self.assertEqual(reply["usage"]["generated"], len(reply["tokens"]))
        self.assertEqual(reply["usage"]["cached"], 0)
        timings = reply["timings"]
        self.assertEqual(set(timings), {"load_s", "prefill_s", "decode_s", "prefill_tps", "decode_tps",
                                        "decode_gbps", "ttft_s"})
        for name, value in timings.items():
            self.assertGreater(value, 0, name)

    def test_max_tokens_ends_with_length(self):
        reply = self.ok_json("run", TINY, "-p", QUESTION, "--temp", "0", "--max-tokens", "3")
        self.assertEqual((reply["finish"], len(reply["tokens"])), ("length", 3))

    def test_a_cut_reply_is_said(self):
        def note(*args):
            return lapidary("run", *args, "--temp", "0").stderr.decode()
        cut = note(TINY, "-p", QUESTION, "--max-tokens", "3")
        self.assertIn("the reply was cut: 3 tokens", cut)
        self.assertIn("--max-tokens", cut)
        full = note(self.endless_model(), "-p", QUESTION, "--ctx", "48")
        self.assertIn("the reply was cut: the context of 48 tokens is full", full)
        self.assertIn("ctx 100 %", full)
        thought = note(TINY, "-p", "What is 63 - 27?", "--think", "on", "--max-tokens", "4")
        self.assertIn("cut inside a thought", thought)
        self.assertNotIn("cut", note(TINY, "-p", QUESTION))

    def test_a_reply_of_one_token_has_no_rate(self):
        text = lapidary("run", TINY, "-p", QUESTION, "--temp", "0", "--stop", "I").stderr.decode()
        self.assertRegex(text, r"reply 1 tok │ ctx")

    def test_a_prompt_that_was_stopped_says_how_far_it_came(self):
        ask = [PROGRAM, "run", str(TINY), "-p", "Who are you? " * 150, "-t", "1"]
        for seconds in (0.7, 2, 5):  # whatever the machine, one of them is behind the loading and before the end
            child = subprocess.Popen(ask, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     env=clean_environment(LAPIDARY_CPU="ref"))
            time.sleep(seconds)
            child.send_signal(signal.SIGINT)
            out, error = child.communicate(timeout=60)
            self.assertEqual((child.returncode, out), (130, b""), error)
            last = (error.decode().splitlines() or [""])[-1]
            if last.startswith("prompt "):
                break
        self.assertRegex(last, r"^prompt \d+ of \d+ tok computed │ stopped$")
        self.assertNotRegex(last, r"^prompt (\d+) of \1 tok")

    def test_stop_text_is_not_part_of_the_answer(self):
        reply = self.ok_json("run", TINY, "-p", QUESTION, "--temp", "0", "--stop", "zzz", "--stop", " model")
        self.assertEqual((reply["text"], reply["finish"]), ("I am a tiny demo", "stop"))

    def test_error_before_the_answer_leaves_stdout_empty(self):
        done = lapidary("run", TINY, "-p", QUESTION, "--stop", "")
        self.assertEqual((done.returncode, done.stdout), (2, b""))

    def test_same_seed_same_answer(self):
        def sample(seed):
            return self.ok_json("run", TINY, "-p", "Tell me a story.", "--temp", "2", "--top-k", "0",
                                "--top-p", "1", "--seed", seed, "--max-tokens", "40")
        first, again, other = sample(7), sample(7), sample(8)
        self.assertEqual(first["tokens"], again["tokens"])
        self.assertNotEqual(first["tokens"], other["tokens"])
        self.assertEqual(first["seed"], 7)
        drawn = self.ok_json("run", TINY, "-p", "Tell me a story.", "--temp", "2", "--max-tokens", "20")
        self.assertLess(drawn["seed"], 2**53, "readers of JSON with doubles give it back as it is")
        again = self.ok_json("run", TINY, "-p", "Tell me a story.", "--temp", "2", "--max-tokens", "20", "--seed", drawn["seed"])
        self.assertEqual(drawn["tokens"], again["tokens"])

    def test_thinking_goes_to_stderr(self):
        done = lapidary("run", TINY, "-p", "What is 63 - 27?", "--temp", "0", "--think", "on")
        self.assertEqual(done.stdout.decode(), "63 - 27 = 46\n")
        self.assertIn("Borrow 1.", done.stderr.decode())
        reply = self.ok_json("run", TINY, "-p", "What is 63 - 27?", "--temp", "0", "--think", "on")
        self.assertIn("Borrow 1.", reply["thinking"])
        self.assertEqual(reply["text"], "63 - 27 = 46")

    def test_system_prompt_is_rendered(self):
        plain = self.ok_json("run", TINY, "-p", QUESTION, "--temp", "0")
        system = self.ok_json("run", TINY, "-p", QUESTION, "--temp", "0", "--system", "Be brief.")
        self.assertGreater(len(system["prompt_tokens"]), len(plain["prompt_tokens"]))

    def test_raw_leaves_the_prompt_as_it_is(self):
        raw = self.ok_json("run", TINY, "--raw", "-p", "hello", "--temp", "0", "--max-tokens", "2")
        ids = self.ok_json("tokenize", TINY, "hello", "--bos")["ids"]
        self.assertEqual(raw["prompt_tokens"], ids)

    def test_pictures_before_the_text_sound_after(self):
        rendered = self.ok_json("run", TINY, "--audio", SAMPLES / "speech_3.wav", "-p", "x",
                                "--image", SAMPLES / "image_2.png", "--max-tokens", "1", "--temp", "0")
        ids = rendered["prompt_tokens"]
        config = json.loads((TINY / "config.json").read_text())
        picture, sound = config["image_token_id"], config["audio_token_id"]
        letter = self.ok_json("tokenize", TINY, "x")["ids"][0]
        self.assertEqual((ids.count(picture), ids.count(sound)), (63, 29))
        self.assertLess(max(i for i, v in enumerate(ids) if v == picture), ids.index(letter))
        self.assertLess(ids.index(letter), ids.index(sound))

    def test_text_streams(self):
        """The first words arrive while the program still talks."""
        child = subprocess.Popen([PROGRAM, "run", str(self.endless_model()), "-p", QUESTION, "--temp", "0",
                                  "--max-tokens", "3000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, env=clean_environment())
        try:
            self.assertNotEqual(child.stdout.read(1), b"")
            self.assertIsNone(child.poll())
        finally:
            child.kill()
            child.wait()
            child.stdout.close()

    def test_threads_and_precision_keep_the_answer(self):
        for options in (["--threads", "1"], ["--threads", "2"], ["--precise"], ["--kv", "f32"],
                        ["--placement", "cpu"], ["--ctx", "1k"]):
            with self.subTest(options=options):
                self.assertEqual(self.ok("run", TINY, "-p", QUESTION, "--temp", "0", *options), ANSWER + "\n")


if __name__ == "__main__":
    main()
