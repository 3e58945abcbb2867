"""`lapidary bench`: the schema that harnesses read."""

import csv
import json
import unittest

from support import TINY, CliTest, clean_environment, lapidary, main

FIELDS = {"schema", "test", "n_prompt", "n_gen", "depth", "reps", "tps_median", "tps_mean", "tps_sd", "predicted_tps", "gbps", "gmacs",
          "machine_gbps", "machine_gmacs", "peak_instruction", "pct_bandwidth", "pct_int8_peak", "cpu", "isa", "gpu", "placement", "split",
          "threads", "model", "model_bytes", "type", "kv", "peak_rss_bytes", "logits_hash", "columns", "ns", "ttft_ns",
          "token_p50_ns", "token_p95_ns", "step_ms", "cost_ratio", "cost_allowed", "prefill_threads", "decode_threads",
          "probe_bytes", "machine_matrix_gmacs", "matrix_instruction", "version", "compiler", "warnings"}


class Bench(CliTest):
    def rows(self, *args):
        return [json.loads(line) for line in self.ok("bench", *args, "--json").splitlines()]

    def test_a_line_per_test(self):
        rows = self.rows(TINY, "-p", "32,64", "-n", "4", "-d", "0", "-r", "2", "-t", "1")
        self.assertEqual([row["test"] for row in rows], ["pp32", "pp64", "tg4"])
        for row in rows:
            self.assertEqual(set(row), FIELDS)
            self.assertEqual((row["schema"], row["reps"], row["threads"], row["gpu"]), (1, 2, 1, None))
            self.assertGreater(row["tps_median"], 0)
            self.assertGreater(row["peak_rss_bytes"], 0)
            for field in ("machine_gbps", "machine_gmacs", "pct_bandwidth", "pct_int8_peak", "probe_bytes"):
                self.assertGreater(row[field], 0)
            self.assertNotEqual(row["peak_instruction"], "")
            self.assertEqual(len(row["ns"]), 2)
            self.assertEqual(row["ttft_ns"] is None, row["n_prompt"] == 0)
            self.assertEqual(row["token_p95_ns"] is None, row["n_gen"] == 0)
            self.assertIsNone(row["cost_ratio"])
            self.assertTrue(all(isinstance(warning, str) for warning in row["warnings"]))

    def test_one_piece_is_measured_against_the_probes_around_it(self):
        row, = self.rows(TINY, "-p", "32", "-n", "0", "-r", "1", "-t", "1")
        self.assertAlmostEqual(row["pct_bandwidth"], 100 * row["gbps"] / row["machine_gbps"], places=6)
        self.assertAlmostEqual(row["pct_int8_peak"], 100 * row["gmacs"] / row["machine_gmacs"], places=6)

    def test_columns(self):
        rows = self.rows(TINY, "-p", "0", "-n", "0", "--columns", "1,4", "-r", "2", "-t", "1")
        self.assertEqual([(row["test"], row["columns"]) for row in rows], [("cols1", 1), ("cols4", 4)])
        for row in rows:
            self.assertGreater(row["cost_ratio"], 0)
            self.assertGreaterEqual(row["cost_allowed"], 1)
            self.assertAlmostEqual(row["step_ms"], sum(row["ns"]) / 2e6, places=3)

    def test_ranges(self):
        rows = self.rows(TINY, "-p", "4-16*2,5", "-n", "2-3", "-d", "1-8+7", "-r", "1", "-t", "1")
        tests = ["pp4", "pp8", "pp16", "pp5", "tg2", "tg3"]
        self.assertEqual([(row["test"], row["depth"]) for row in rows], [(t, d) for d in (1, 8) for t in tests])
        for text, says in (("8-4", "goes down"), ("0-8*2", "stays at 0"), ("1-1000000", "more than 1000"),
                           ("1-8*1", "1"), ("1-8+0", "0"), ("4,,5", "''"), ("2-", "''"), ("1-x", "'x'"), ("", "''")):
            with self.subTest(text=text):
                self.fails(2, "bench", TINY, "-p", text, says=["--prompt", says])

    def test_threads_of_long_and_short_steps(self):
        row, = self.rows(TINY, "-p", "16", "-n", "0", "-r", "1", "-t", "2", "--decode-threads", "1")
        self.assertEqual((row["threads"], row["prefill_threads"], row["decode_threads"]), (2, 2, 1))

    def test_forms(self):
        args = (TINY, "-p", "8", "-n", "2", "-r", "2", "-t", "1")
        array = json.loads(self.ok("bench", *args, "--output", "json"))
        lines = [json.loads(line) for line in self.ok("bench", *args, "--output", "jsonl").splitlines()]
        table = list(csv.DictReader(self.ok("bench", *args, "--output", "csv").splitlines()))
        for rows in (array, lines, table):
            self.assertEqual([row["test"] for row in rows], ["pp8", "tg2"])
            self.assertEqual({frozenset(row) for row in rows}, {frozenset(FIELDS)})
        self.assertEqual(len(table[0]["ns"].split()), 2)
        self.assertEqual(table[0]["logits_hash"], array[0]["logits_hash"])
        self.fails(2, "bench", TINY, "--output", "xml", says="xml")
        done = lapidary("bench", TINY, "--json", "--output", "csv")
        self.assertEqual((done.returncode, json.loads(done.stdout)["error"]["code"]), (2, "invalid_argument"))

    def test_profile_and_trace(self):
        args = (TINY, "-p", "8", "-n", "2", "-r", "1", "-t", "1", "--profile")
        for row in self.rows(*args, "--trace", self.folder / "t.json"):
            self.assertEqual(set(row) - FIELDS, {"profile"})
            self.assertIn("norm+matmul head", [line["op"] for line in row["profile"]])
            # Only the timed steps: one for the prompt, one per token.
            head, = [line for line in row["profile"] if line["op"] == "norm+matmul head"]
            self.assertEqual(head["count"], 1 if row["test"] == "pp8" else 2)
        self.assertTrue(json.loads((self.folder / "t.json").read_text())["traceEvents"])
        done = lapidary("bench", *args)
        self.assertIn("profile of pp8", done.stderr.decode())
        self.fails(2, "bench", TINY, "-t", "1,2", "--trace", self.folder / "t.json", says="--trace")

    def test_depth_and_thread_lists(self):
        rows = self.rows(TINY, "-p", "0", "-n", "2", "-d", "0,16", "-r", "1", "-t", "1,2")
        self.assertEqual([(r["threads"], r["depth"]) for r in rows], [(1, 0), (1, 16), (2, 0), (2, 16)])

    def test_a_made_up_past(self):
        row, = self.rows(TINY, "-p", "0", "-n", "2", "-d", "100", "-r", "1", "--fill")
        self.assertIn("made up", "".join(row["warnings"]))

    def test_threads_from_environment(self):
        for threads in ("1", "2"):
            line = self.ok("bench", TINY, "-p", "16", "-n", "0", "-r", "1", "--json",
                           env=clean_environment(LAPIDARY_THREADS=threads))
            self.assertEqual(json.loads(line)["threads"], int(threads))

    def test_planned_beside_measured(self):
        args = (TINY, "-p", "32", "-n", "4", "--columns", "2", "-r", "2", "-t", "1")
        unknown = clean_environment(XDG_CACHE_HOME=self.folder)
        rows = [json.loads(line) for line in self.ok("bench", *args, "--json", env=unknown).splitlines()]
        self.assertEqual([row["predicted_tps"] for row in rows], [None, None, None])
        self.assertIn(" - |", self.ok("bench", *args, env=unknown))
        rows = [json.loads(line) for line in self.ok("bench", *args, "--calibrate", "--json", env=unknown).splitlines()]
        self.assertEqual([row["predicted_tps"] is None for row in rows], [False, False, True])
        self.assertTrue(all(row["predicted_tps"] > 0 for row in rows[:2]))
        self.assertEqual(list(self.folder.glob("**/rates-*")), [])  # nothing is kept
        self.ok("tune", "--placement", "cpu", "--shapes", "tiny", "--seconds", "0.001", "-t", "1", env=unknown)
        kept = [json.loads(line) for line in self.ok("bench", *args, "--json", env=unknown).splitlines()]
        self.assertEqual([row["predicted_tps"] is None for row in kept], [False, False, True])

    def test_synthetic_needs_no_file(self):
        row, = self.rows("--synthetic", "tiny", "--type", "q4_0", "-p", "16", "-n", "0", "-r", "1")
        self.assertEqual((row["type"].lower(), row["test"]), ("q4_0", "pp16"))

    def test_table(self):
        page = self.ok("bench", TINY, "-p", "16", "-n", "0", "-r", "2")
        lines = page.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(len({line.count("|") for line in lines}), 1)
        self.assertIn("pp16", lines[2])

    def test_usage(self):
        self.fails(2, "bench", TINY, "-p", "0", "-n", "0", says="nothing to measure")
        self.fails(2, "bench", TINY, "-p", "-5", says="-5")
        self.fails(2, "bench", TINY, "-r", "0", says="--repetitions is 0")
        self.fails(2, "bench", TINY, "--synthetic", "tiny", says="--synthetic")
        self.fails(2, "bench", "--synthetic", "tiny", "--type", "q99", says="q99")


class Usage(CliTest):
    def test_a_context_that_nobody_named(self):
        for args in (["-p", "9999", "-n", "0"], ["-p", "8", "-n", "0", "-d", "9999"]):
            error = self.fails(2, "bench", TINY, *args, says="9999" if "-d" not in args else "10007")
            self.assertIn("--prompt", error["hint"])
            self.assertNotIn("--ctx", error["hint"])
        self.assertIn("--ctx", self.fails(2, "bench", TINY, "-p", "8", "-c", "9999")["hint"])

    def test_output_by_its_letter(self):
        rows = json.loads(self.ok("bench", TINY, "-p", "8", "-n", "0", "-r", "1", "-t", "1", "-o", "json"))
        self.assertEqual([row["test"] for row in rows], ["pp8"])


if __name__ == "__main__":
    main()
