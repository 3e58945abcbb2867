"""scripts/compare_bench.py on results made up for the purpose, and on real ones."""

import importlib.util
import json
import subprocess
import sys
import unittest

from support import ROOT, TINY, CliTest, main

SCRIPT = ROOT / "scripts" / "compare_bench.py"
spec = importlib.util.spec_from_file_location("compare_bench", SCRIPT)
compare_bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare_bench)


def row(milliseconds, **changed):
    """A row of pp100 whose repetitions took so long."""
    ns = [int(ms * 1e6) for ms in milliseconds]
    fields = {"schema": 1, "test": "pp100", "n_prompt": 100, "n_gen": 0, "columns": 0, "depth": 0, "threads": 2,
              "model": "m", "type": "q4_0", "isa": "avx512", "kv": "f16", "tps_median": 1e11 / sorted(ns)[len(ns) // 2],
              "machine_gbps": 40.0, "logits_hash": "a", "ns": ns}
    return {**fields, **changed}


SLOW, FAST = [110, 111, 112, 113, 114], [100, 101, 102, 103, 104]


class CompareBench(CliTest):
    def compare(self, base, new, *options):
        files = []
        for name, rows in (("base", base), ("new", new)):
            files.append(self.file(name, rows if isinstance(rows, str) else "".join(json.dumps(r) + "\n" for r in rows)))
        return subprocess.run([sys.executable, SCRIPT, *files, *options], capture_output=True, text=True)

    def verdict(self, base, new, *options):
        done = self.compare(base, new, *options)
        last = done.stdout.splitlines()[-1]
        return done.returncode, last.split("|")[-2].strip()

    def test_faster_slower_and_neither(self):
        self.assertEqual(self.verdict([row(SLOW)], [row(FAST)]), (0, "faster"))
        self.assertEqual(self.verdict([row(FAST)], [row(SLOW)]), (1, "slower"))
        self.assertEqual(self.verdict([row(FAST)], [row([99, 102.5, 101.5, 103.5, 105])]), (0, "same"))
        self.assertEqual(self.verdict([row(FAST)], [row(FAST)]), (0, "same"))

    def test_three_repetitions_prove_nothing(self):
        self.assertEqual(self.verdict([row(FAST[:3])], [row(SLOW[:3])]), (0, "too few"))
        self.assertEqual(self.verdict([row(FAST[:3])], [row(SLOW[:3])], "--alpha", "0.1"), (1, "slower"))

    def test_appended_runs_are_put_together(self):
        halves = [row(FAST[:3]), row(FAST[3:])]
        self.assertEqual(self.verdict(halves, [row(SLOW[:2]), row(SLOW[2:])]), (1, "slower"))

    def test_speed_up_of_medians(self):
        line = self.compare([row([200] * 5)], [row([100] * 5)]).stdout.splitlines()[-1]
        self.assertEqual([cell.strip() for cell in line.split("|")[2:5]], ["500.00", "1000.00", "2.000"])

    def test_exact_probabilities(self):
        # Complete separation of 5 and 5: two of 252 splits. A tie across the groups: mean ranks.
        self.assertAlmostEqual(compare_bench.rank_test(FAST, SLOW), 2 / 252)
        self.assertEqual(compare_bench.rank_test([1, 2], [1, 2]), 1)
        self.assertAlmostEqual(compare_bench.rank_test([1, 2, 3], [3, 4, 5]), 4 / 20)
        # 15 against 15 is drawn, not counted; complete separation stays the rarest thing.
        self.assertLess(compare_bench.rank_test(list(range(15)), list(range(20, 35))), 0.001)

    def test_other_logits_and_another_machine_are_warned_of(self):
        done = self.compare([row(FAST)], [row(FAST, logits_hash="b", machine_gbps=30.0)])
        self.assertEqual(done.returncode, 0)
        self.assertIn("the logits differ (a and b)", done.stderr)
        self.assertIn("0.75 times", done.stderr)
        self.assertEqual(self.compare([row(FAST)], [row(FAST)]).stderr, "")

    def test_rows_meet_by_their_kind(self):
        done = self.compare([row(FAST), row(FAST, depth=512)], [row(FAST), row(FAST, threads=1)])
        self.assertEqual(done.stdout.count("| pp100"), 1)
        self.assertIn("only in base: pp100 @ d512", done.stderr)
        self.assertIn("only in new: pp100 t1", done.stderr)
        other = [row(SLOW, isa="avx2")]
        self.assertEqual(self.compare([row(FAST)], other).returncode, 2)
        self.assertEqual(self.verdict([row(FAST)], other, "--ignore", "isa"), (1, "slower"))

    def test_an_array_is_read_too(self):
        self.assertEqual(self.verdict(json.dumps([row(SLOW)]), [row(FAST)]), (0, "faster"))

    def test_files_that_cannot_be_compared(self):
        for bad, words in (("", "no rows"), ("{", "base"), ('{"schema": 1}\n', "lacks test"), ("[3]", "lacks schema"),
                           (json.dumps(row(FAST, schema=2)), "schema 2")):
            with self.subTest(bad=bad):
                done = self.compare(bad, [row(FAST)])
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(words, done.stderr)
        missing = subprocess.run([sys.executable, SCRIPT, self.folder / "no", self.folder / "no"], capture_output=True)
        self.assertEqual(missing.returncode, 2)
        self.assertEqual(self.compare([row(FAST)], [row(FAST)], "--ignore", "colour").returncode, 2)

    def test_what_bench_prints(self):
        text = self.ok("bench", TINY, "-p", "16", "-n", "2", "--columns", "2", "-r", "2", "-t", "1", "--json")
        done = self.compare(text, text)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line.split()[1] for line in done.stdout.splitlines()[2:]], ["pp16", "tg2", "cols2"])


if __name__ == "__main__":
    main()
