"""Ctrl-C, closed pipes, full disks, and when stdin is read: the behaviour of a good Unix program."""

import json
import os
import pty
import signal
import subprocess
import time
import unittest

from support import PROGRAM, TINY, CliTest, clean_environment, lapidary, main

QUIET_END_S = 5  # a stop is honoured within one layer; this leaves room for a loaded machine


class Streams(CliTest):
    def start(self, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        child = subprocess.Popen([PROGRAM, *map(str, args)], bufsize=0, stderr=subprocess.PIPE, env=clean_environment(),
                                 **options)
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        child.kill()
        child.wait()
        for stream in (child.stdout, child.stderr):
            if stream:
                stream.close()

    def talk(self, *more):
        return self.start("run", self.endless_model(), "-p", "Who are you?", "--temp", "0", "--ctx", "4k",
                          "--max-tokens", "4000", "--threads", "1", *more)

    def test_interrupt_stops_the_reply(self):
        child = self.talk()
        self.assertNotEqual(child.stdout.read(1), b"")
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        rest, error = child.communicate(timeout=QUIET_END_S)
        self.assertEqual(child.returncode, 130, error)
        self.assertLess(time.monotonic() - start, QUIET_END_S)
        self.assertTrue(rest.endswith(b"\n"), "the line is ended")
        self.assertIn(b"tok/s", error)

    def test_interrupt_with_json_says_cancelled(self):
        child = self.talk("--json")
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        out, error = child.communicate(timeout=QUIET_END_S)
        self.assertEqual(child.returncode, 130, error)
        self.assertTrue(b'"finish":"cancelled"' in out or b'"code":"cancelled"' in out, out)

    def test_interrupt_while_measuring(self):
        child = self.start("bench", TINY, "-p", "512", "-n", "0", "-r", "1000")
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=4 * QUIET_END_S)
        self.assertEqual(child.returncode, 130)

    def test_interrupt_while_judging_a_text(self):
        for verb in (["perplexity", TINY], ["kld", TINY, "--base", TINY]):
            with self.subTest(verb=verb[0]):
                child = self.start(*verb, "--random-tokens", "1000000", "--json")
                time.sleep(0.5)
                child.send_signal(signal.SIGINT)
                out, error = child.communicate(timeout=4 * QUIET_END_S)
                self.assertEqual(child.returncode, 130, error)
                self.assertIn(b'"code":"cancelled"', out)

    def test_interrupt_while_waiting_for_stdin(self):
        reader, writer = os.pipe()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            child = self.start("run", TINY, "-p", "-", "--json", stdin=reader)
            time.sleep(0.3)
            child.send_signal(number)
            out, _ = child.communicate(timeout=QUIET_END_S)
            self.assertEqual((child.returncode, json.loads(out)["error"]["code"]), (code, "cancelled"))
        os.close(reader)
        os.close(writer)

    def test_other_ends_act_as_ctrl_c(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            with self.subTest(signal=number):
                child = self.start("perplexity", TINY, "--random-tokens", "1000000", "--json")
                time.sleep(0.5)
                child.send_signal(number)
                out, error = child.communicate(timeout=4 * QUIET_END_S)
                self.assertEqual(child.returncode, code, error)
                self.assertEqual(json.loads(out)["error"]["code"], "cancelled")

    def test_no_temporary_file_stays(self):
        model = self.folder / "model.gguf"
        self.ok("synth", model, "--preset", "tiny", "--layers", "300", "--type", "bf16")
        out = self.folder / "out"
        out.mkdir()
        for number, code, args in ((signal.SIGTERM, 143, ["pack", model, out / "a.lapidary", "--type", "q4_k"]),
                                   (signal.SIGHUP, 129, ["synth", out / "a.gguf", "--preset", "tiny", "--layers", "1000"]),
                                   (signal.SIGTERM, 143, ["synth", out / "a", "--preset", "tiny", "--layers", "1000", "--format", "hf"]),
                                   (signal.SIGINT, 130, ["pack", model, out / "a.lapidary", "--type", "q6_k"])):
            with self.subTest(args=args, signal=number):
                child = self.start(*args)
                deadline = time.monotonic() + 60
                while not os.listdir(out):
                    self.assertLess(time.monotonic(), deadline, "nothing was written")
                    time.sleep(0.005)
                child.send_signal(number)
                error = child.communicate(timeout=4 * QUIET_END_S)[1]
                self.assertEqual(child.returncode, code, error)
                self.assertEqual(os.listdir(out), [])

    def test_nohup_stands(self):
        child = self.start("bench", TINY, "-p", "64", "-n", "0", "-r", "20", "-t", "1",
                           preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        time.sleep(0.3)
        child.send_signal(signal.SIGHUP)
        child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0)

    def test_reader_that_goes_away(self):
        """`lapidary run ... | head -c 1`"""
        child = self.talk("--quiet")
        self.assertNotEqual(child.stdout.read(1), b"")
        child.stdout.close()
        child.stdout = None
        error = child.stderr.read()
        self.assertEqual(child.wait(timeout=QUIET_END_S), 0)
        self.assertEqual(error, b"")

    def test_full_standard_output(self):
        for args in (["run", TINY, "-p", "Who are you?", "--quiet"], ["tokenize", TINY, "hi"], ["doctor"],
                     ["inspect", TINY, "--json"], ["--version"]):
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                done = lapidary(*args, stdout=full)
                self.assertEqual(done.returncode, 1)
                self.assertIn("No space left", done.stderr.decode())

    def test_closed_standard_descriptors(self):
        """`lapidary ... >&-`: nothing that the program opens takes their places."""
        for number, args, code in ((0, ["chat", TINY, "-q"], 0), (0, ["run", TINY, "-q"], 2), (1, ["run", TINY, "-p", "Hi", "-q"], 1),
                                   (1, ["tokenize", TINY, "hi"], 1), (2, ["run", TINY, "-p", "Hi"], 0)):
            with self.subTest(args=args, closed=number):
                done = lapidary(*args, stdin=None, preexec_fn=lambda number=number: os.close(number))
                self.assertEqual(done.returncode, code, done.stderr)
                if number == 1:
                    self.assertIn("cannot write to standard output: Bad file descriptor", done.stderr.decode())


class Stdin(CliTest):
    QUESTION = b"Who are you?"

    def test_pipe_is_the_prompt(self):
        want = self.ok("run", TINY, "-p", self.QUESTION.decode(), "--temp", "0")
        self.assertEqual(self.ok("run", TINY, "--temp", "0", stdin=self.QUESTION), want)
        self.assertEqual(self.ok("run", TINY, "--temp", "0", "-p", "-", stdin=self.QUESTION), want)

    def test_messages_from_a_pipe(self):
        reply = self.ok("run", TINY, "--temp", "0", "--messages", "-",
                        stdin=b'{"messages":[{"role":"user","content":"Who are you?"}]}')
        self.assertIn("tiny demo model", reply)

    def test_stdin_is_left_alone_with_a_prompt(self):
        reader, writer = os.pipe()  # never written, never closed: reading it would hang
        try:
            done = subprocess.run([PROGRAM, "run", str(TINY), "-p", "Who are you?", "--temp", "0"], stdin=reader,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(),
                                  timeout=60, check=False)
        finally:
            os.close(reader)
            os.close(writer)
        self.assertEqual(done.returncode, 0)

    def test_terminal_without_a_prompt_is_a_usage_error(self):
        terminal, line = pty.openpty()
        try:
            for verb in (["run", str(TINY)], ["tokenize", "-m", str(TINY)]):
                with self.subTest(verb=verb):
                    done = subprocess.run([PROGRAM, *verb], stdin=line, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE, env=clean_environment(), timeout=60, check=False)
                    self.assertEqual(done.returncode, 2)
                    self.assertIn(b"there is no", done.stderr)
        finally:
            os.close(terminal)
            os.close(line)

    def test_empty_pipe_is_a_usage_error(self):
        self.fails(2, "run", TINY, stdin=b"", says="no prompt")

    def test_terminal_dims_the_timing(self):
        terminal, line = pty.openpty()
        env = clean_environment()
        env.pop("NO_COLOR", None)
        try:
            subprocess.run([PROGRAM, "run", str(TINY), "-p", "Who are you?", "--temp", "0"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=line, env=env, timeout=60,
                           check=True)
            shown = os.read(terminal, 65536)
        finally:
            os.close(terminal)
            os.close(line)
        self.assertIn(b"\x1b[2mprompt ", shown)
        self.assertTrue(shown.rstrip().endswith(b"\x1b[0m"), shown)


if __name__ == "__main__":
    main()
