"""`lapidary bench`: the schema that harnesses read."""

import json
import unittest

from support import TINY, CliTest, clean_environment, main

FIELDS = {"schema", "test", "n_prompt", "n_gen", "depth", "reps", "tps_median", "tps_mean", "tps_sd", "gbps", "gmacs",
          "machine_gbps", "machine_gmacs", "pct_bandwidth", "pct_int8_peak", "cpu", "isa", "gpu", "placement",
          "threads", "model", "model_bytes", "type", "kv", "peak_rss_bytes", "logits_hash"}


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
            if row["machine_gbps"] is not None:
                self.assertAlmostEqual(row["pct_bandwidth"], 100 * row["gbps"] / row["machine_gbps"], places=6)

    def test_depth_and_thread_lists(self):
        rows = self.rows(TINY, "-p", "0", "-n", "2", "-d", "0,16", "-r", "1", "-t", "1,2")
        self.assertEqual([(r["threads"], r["depth"]) for r in rows], [(1, 0), (1, 16), (2, 0), (2, 16)])

    def test_threads_from_environment(self):
        for threads in ("1", "2"):
            line = self.ok("bench", TINY, "-p", "16", "-n", "0", "-r", "1", "--json",
                           env=clean_environment(LAPIDARY_THREADS=threads))
            self.assertEqual(json.loads(line)["threads"], int(threads))

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


if __name__ == "__main__":
    main()
