"""`--profile` and `--trace FILE` of run, logits and bench."""

import json
import unittest

from support import TINY, CliTest, lapidary, main

ASK = ("run", TINY, "-p", "Who are you?", "--temp", "0")
FIELDS = {"op", "layer", "count", "seconds", "share", "gbps", "gmacs", "wait_seconds", "idle_seconds"}


class Profile(CliTest):
    def check_profile(self, rows):
        self.assertEqual({frozenset(row) for row in rows}, {frozenset(FIELDS)})
        self.assertAlmostEqual(sum(row["share"] for row in rows), 1, places=6)
        self.assertEqual([row["seconds"] for row in rows], sorted((row["seconds"] for row in rows), reverse=True))
        self.assertEqual({row["layer"] for row in rows}, {"input", "sliding", "global", "output"})
        head, = [row for row in rows if row["op"] == "norm+matmul head"]
        self.assertGreater(head["gmacs"], 0)
        self.assertGreater(head["gbps"], 0)
        for row in rows:
            self.assertGreaterEqual(row["seconds"], row["wait_seconds"])

    def test_table_on_stderr(self):
        done = lapidary(*ASK, "--profile")
        plain = lapidary(*ASK)
        self.assertEqual((done.returncode, done.stdout), (0, plain.stdout))
        for word in ("operation", "norm+matmul head", "sliding", "GMAC/s", "wait ms"):
            self.assertIn(word, done.stderr.decode())
        self.assertNotIn("operation", plain.stderr.decode())

    def test_rows_in_json(self):
        self.check_profile(self.ok_json(*ASK, "--profile")["profile"])
        self.assertNotIn("profile", self.ok_json(*ASK))
        out = self.folder / "rows"
        self.check_profile(self.ok_json("logits", TINY, "--tokens", "2,105,9", "--out", out, "--profile")["profile"])

    def test_decoding_with_fewer_threads_says_the_same(self):
        plain = self.ok_json(*ASK, "-t", "2")
        fewer = self.ok_json(*ASK, "-t", "2", "--decode-threads", "1", "--profile")
        self.assertEqual(fewer["tokens"], plain["tokens"])

    def trace(self, *args):
        file = self.folder / "trace.json"
        self.ok(*args, "--trace", file)
        return json.loads(file.read_text())

    def test_trace_is_json_with_nested_times(self):
        for args in (ASK, ("logits", TINY, "--tokens", "2,105,9", "--out", self.folder / "rows")):
            trace = self.trace(*args, "-t", "2")
            events = trace["traceEvents"]
            names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
            self.assertEqual((names[0], names[1]), ("layers", "thread 0"))
            layers = [e for e in events if e["ph"] == "X" and e["tid"] == 0]
            slices = [e for e in events if e["ph"] == "X" and e["tid"] > 0]
            self.assertEqual({e["name"] for e in layers} - {"output"}, {"input", "sliding", "global"})
            self.assertIn("norm+matmul head", {e["name"] for e in slices})
            for e in layers + slices:
                self.assertGreaterEqual(e["ts"], 0)
                self.assertGreaterEqual(e["dur"], 0)
            self.assertEqual(trace["otherData"]["dropped_events"], 0)

    def test_a_trace_that_cannot_be_written(self):
        done = lapidary(*ASK, "--trace", self.folder / "no" / "trace.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("trace.json", done.stderr.decode())
        done = lapidary(*ASK, "--json", "--trace", self.folder / "no" / "trace.json")
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "io_error")


if __name__ == "__main__":
    main()
