"""What needs a terminal: lines that are drawn over and taken away, widths, TERM=dumb, colours, Ctrl-C."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import unittest

from support import PROGRAM, TINY, CliTest, clean_environment, main

DRAWN = b"\r\x1b[K"


class Terminal(CliTest):
    def start(self, *args, columns=80, streams=("stdout", "stderr"), **env):
        """The program with these streams on a terminal; answers the child and our end of the terminal."""
        ours, line = pty.openpty()
        fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = clean_environment(TERM="xterm")
        environment.pop("NO_COLOR", None)
        environment.update(env)
        where = {name: line if name in streams else subprocess.DEVNULL for name in ("stdout", "stderr")}
        child = subprocess.Popen([PROGRAM, *map(str, args)], stdin=subprocess.DEVNULL, env=environment, **where)
        os.close(line)
        self.addCleanup(os.close, ours)
        self.addCleanup(child.kill)
        return child, ours

    def rest(self, child, ours, seconds=110):
        shown, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([ours], [], [], 0.1)[0]:
                if child.poll() is not None:
                    break
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
        child.wait(timeout=10)
        return shown

    def shown(self, *args, code=0, **options):
        child, ours = self.start(*args, **options)
        text = self.rest(child, ours)
        self.assertEqual(child.returncode, code, text)
        return text

    def shown_slowly(self, *args, **options):
        """The same on a machine that is many times slower: the program is halted most of the time."""
        child, ours = self.start(*args, **options)
        def halt():
            while child.poll() is None:
                child.send_signal(signal.SIGSTOP)
                time.sleep(0.05)
                child.send_signal(signal.SIGCONT)
                time.sleep(0.01)
        brake = threading.Thread(target=halt)
        brake.start()
        text = self.rest(child, ours)
        brake.join()
        self.assertEqual(child.returncode, 0, text)
        return text

    def large(self):
        path = self.folder / "large.gguf"
        self.ok("synth", path, "--preset", "tiny", "--layers", "300")
        return path

    def test_the_line_of_loading_is_taken_away(self):
        args = ("logits", self.large(), "--tokens", "2,3", "--out", self.folder / "rows")
        text = self.shown_slowly(*args)
        self.assertIn(b"load ", text)
        *_, last = text.split(DRAWN)
        self.assertTrue(last.startswith(str(self.folder).encode()), "the result stands on a clean line")
        self.assertNotIn(b" 0 s left", text.split(DRAWN)[1], "the first estimate is no guess")
        narrow = self.shown_slowly(*args, columns=30)
        for line in narrow.split(DRAWN)[1:-1]:
            self.assertLessEqual(len(line.decode()), 29, "a line that wraps cannot be drawn over")

    def test_the_line_of_a_prompt_is_taken_away(self):
        text = self.shown("run", TINY, "Who are you? " * 150, "--temp", "0", "-n", "1", "-t", "1", LAPIDARY_CPU="ref")
        *drawn, last = text.split(DRAWN)
        lines = [line for line in drawn if line.startswith(b"prompt ")]
        self.assertNotEqual(lines, [], text)
        self.assertRegex(lines[0], rb"^prompt \d+ / \d+ tokens")
        self.assertFalse(last.startswith(b"prompt "), "the line is gone before the answer")

    def test_the_lines_of_bench_name_the_test_and_are_taken_away(self):
        text = self.shown("bench", TINY, "-p", "8", "-n", "4", "-r", "4", "-t", "1", columns=200)
        pieces = text.split(DRAWN)
        drawn = [piece for piece in pieces if piece.startswith(b"bench ")]
        self.assertNotEqual(drawn, [], text)
        for piece in drawn:
            self.assertRegex(piece, rb"^bench \d/8 (pp8|tg4)( \S+ \d+ s left)?$")
        table = b"".join(piece for piece in pieces if piece not in drawn).decode()
        self.assertEqual([line.split("|")[4].strip() for line in table.splitlines() if line.startswith("|")][2:],
                         ["pp8", "tg4"], "rows stand on clean lines")
        self.assertNotIn(b"bench", self.shown("bench", TINY, "-p", "8", "-n", "4", "-r", "4", "-t", "1", "-q"))

    def test_the_line_of_a_prompt_in_logits(self):
        text = self.shown("logits", TINY, "-p", "Who are you? " * 40, "--out", self.folder / "rows", "-t", "1",
                          LAPIDARY_CPU="ref")
        *drawn, last = text.split(DRAWN)
        self.assertTrue(any(re.match(rb"prompt \d+ / \d+ tokens", line) for line in drawn), text)
        self.assertTrue(last.startswith(str(self.folder).encode()), "the result stands on a clean line")

    def test_no_amount_where_nothing_is_read(self):
        text = self.shown("kld", TINY, "--base-kv", "f32", "--random-tokens", "100", "-t", "1", LAPIDARY_CPU="ref")
        self.assertIn(b"load", text)
        self.assertNotIn(b"0 B / 0 B", text)

    def test_dumb_terminals_get_plain_text(self):
        text = self.shown("logits", self.large(), "--tokens", "2,3", "--out", self.folder / "rows", TERM="dumb")
        self.assertNotIn(b"\x1b", text)
        self.assertNotIn(b"\x1b", self.shown("run", TINY, "Who are you?", "--temp", "0", TERM="dumb"))
        self.assertNotIn(b"\x1b[2m", self.shown("run", TINY, "Who are you?", "--temp", "0", NO_COLOR="1"))

    def test_help_follows_the_width(self):
        for columns in (60, 80, 200):
            with self.subTest(columns=columns):
                text = self.shown("run", "--help", columns=columns).decode()
                self.assertLessEqual(max(map(len, text.splitlines())), min(columns, 80))

    def test_bench_fits_the_width(self):
        for columns, names in ((80, ["test", "t/s"]), (100, ["threads", "test"]), (200, ["model", "cost"])):
            with self.subTest(columns=columns):
                text = self.shown("bench", TINY, "-p", "8", "-n", "0", "-r", "1", "-t", "1", columns=columns,
                                  streams=("stdout",)).decode()
                rows = [line for line in text.splitlines() if line.startswith("|")]
                self.assertEqual(len(rows), 3, text)
                self.assertEqual(len(set(map(len, rows))), 1)
                self.assertLessEqual(len(rows[0]), columns)
                for name in names:
                    self.assertRegex(rows[0], rf"\| +{re.escape(name)} ")

    def test_the_head_line_of_bench_fits_the_width(self):
        text = self.shown("bench", TINY, "-p", "8", "-n", "0", "-r", "1", "-t", "1", columns=70).decode()
        line = text.split("\x1b[K")[-1]
        lines = [line for line in line.splitlines() if "cpu" in line or "int8" in line]
        self.assertNotEqual(lines, [])
        for line in lines:
            self.assertLessEqual(len(line), 70)

    def test_interrupt_leaves_a_clean_line(self):
        child, ours = self.start("bench", TINY, "-p", "512", "-n", "0", "-r", "1000")
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        text = self.rest(child, ours)
        self.assertEqual(child.returncode, 130)
        self.assertTrue(text == b"" or text.endswith((b"\n", DRAWN)), text)


if __name__ == "__main__":
    main()
