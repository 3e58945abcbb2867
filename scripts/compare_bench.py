#!/usr/bin/env python3
"""Compares two results of `lapidary bench --json` (or --output json): compare_bench.py base.jsonl new.jsonl

Rows meet by test, depth, threads, model, type, kernels and KV format. For each pair: both speeds (medians over the
repetitions), the speed-up, and whether the repetitions tell it from chance: the exact two-sided rank test of Mann and
Whitney, ties at their mean rank. Rows of the same kind in one file are put together, so that runs which took turns can
be appended to one file each. A different hash of the logits is a warning: then the speeds belong to different results.

Exit code: 0; 1 when a row is significantly slower; 2 when the files cannot be compared."""

import argparse
import itertools
import json
import math
import random
import statistics
import sys

SCHEMA = 1
KEY = ("test", "depth", "threads", "prefill_threads", "decode_threads", "model", "type", "isa", "kv")
NEEDED = ("schema", "test", "depth", "threads", "model", "type", "isa", "kv", "tps_median", "logits_hash")
MAX_PARTITIONS = 200_000  # of all repetitions into two groups: 10 against 10 are still counted exactly
SAMPLES = 20_000          # beyond


class Unusable(Exception):
    """A file that cannot be compared, and why."""


def read_rows(path):
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        rows = json.loads(text) if text.lstrip().startswith("[") else [
            json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as problem:
        raise Unusable(f"{path}: {problem}") from problem
    if not rows:
        raise Unusable(f"{path}: no rows")
    for number, row in enumerate(rows, 1):
        missing = [name for name in NEEDED if not isinstance(row, dict) or name not in row]
        if missing:
            raise Unusable(f"{path}: row {number} is no row of a bench: it lacks {', '.join(missing)}")
        if row["schema"] != SCHEMA:
            raise Unusable(f"{path}: row {number} has schema {row['schema']}, this script reads {SCHEMA}")
    return rows


def tokens_of(row):
    return (row.get("n_prompt") or 0) + (row.get("n_gen") or 0) + (row.get("columns") or 0)


class Group:
    """Rows of one kind: the speed of every repetition, in tokens per second."""

    def __init__(self):
        self.speeds, self.hashes, self.machine = [], set(), []

    def add(self, row):
        times = row.get("ns") or []
        self.speeds += [tokens_of(row) * 1e9 / ns for ns in times] if times and tokens_of(row) else [row["tps_median"]]
        self.hashes.add(row["logits_hash"])
        if row.get("machine_gbps"):
            self.machine.append(row["machine_gbps"])

    def speed(self):
        return statistics.median(self.speeds)


def group(rows, ignored):
    groups = {}
    for row in rows:
        key = tuple(row.get(name) for name in KEY if name not in ignored)
        groups.setdefault(key, Group()).add(row)
    return groups


def mid_ranks(values):
    ordered = sorted(values)
    return [ordered.index(v) + (ordered.count(v) + 1) / 2 for v in values]


def rank_test(first, second):
    """Two-sided p: how often a random split of all values is at least as uneven in ranks as this one."""
    ranks = mid_ranks(first + second)
    n, total = len(first), len(ranks)
    expected = n * (total + 1) / 2
    observed = abs(sum(ranks[:n]) - expected) - 1e-9  # the same sum in another order is as uneven
    if math.comb(total, n) <= MAX_PARTITIONS:
        sums = [sum(chosen) for chosen in itertools.combinations(ranks, n)]
    else:
        dice = random.Random(1)
        sums = [sum(dice.sample(ranks, n)) for _ in range(SAMPLES)]
    return sum(abs(s - expected) >= observed for s in sums) / len(sums)


def smallest_p(n, m):
    """What complete separation of n and m values gives."""
    return min(1.0, 2 / math.comb(n + m, n))


def compare(base, new, alpha):
    """(speed-up, p, verdict) of two groups."""
    ratio = new.speed() / base.speed()
    p = rank_test(base.speeds, new.speeds)
    if smallest_p(len(base.speeds), len(new.speeds)) > alpha:
        return ratio, p, "too few"
    if p > alpha:
        return ratio, p, "same"
    return ratio, p, "faster" if ratio > 1 else "slower"


def name_of(key, ignored):
    fields = dict(zip([name for name in KEY if name not in ignored], key))
    depth = f" @ d{fields['depth']}" if fields.get("depth") else ""
    rest = [str(fields[name]) for name in ("model", "type", "isa", "kv") if fields.get(name) is not None]
    threads = f" t{fields['threads']}" if fields.get("threads") is not None else ""
    return f"{fields['test']}{depth}{threads} {' '.join(rest)}"


def report(base, new, alpha, ignored):
    """Prints the table; returns whether a row is slower."""
    shared = [key for key in base if key in new]
    if not shared:
        raise Unusable("no row of the one file has its like in the other; --ignore isa,threads widens the match")
    print("| test | base t/s | new t/s | speed-up | p | verdict |")
    print("|------|---------:|--------:|---------:|--:|---------|")
    slower = False
    for key in shared:
        ratio, p, verdict = compare(base[key], new[key], alpha)
        slower = slower or verdict == "slower"
        print(f"| {name_of(key, ignored)} | {base[key].speed():.2f} | {new[key].speed():.2f} | {ratio:.3f} | {p:.4f} "
              f"| {verdict} |")
        if base[key].hashes != new[key].hashes:
            print(f"warning: {name_of(key, ignored)}: the logits differ ({', '.join(sorted(base[key].hashes))} and "
                  f"{', '.join(sorted(new[key].hashes))})", file=sys.stderr)
        if base[key].machine and new[key].machine:
            drift = statistics.median(new[key].machine) / statistics.median(base[key].machine)
            if abs(drift - 1) > 0.1:
                print(f"warning: {name_of(key, ignored)}: the machine itself read at {drift:.2f} times the speed",
                      file=sys.stderr)
    for label, only in (("base", set(base) - set(new)), ("new", set(new) - set(base))):
        for key in sorted(only, key=str):
            print(f"note: only in {label}: {name_of(key, ignored)}", file=sys.stderr)
    return slower


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("new")
    parser.add_argument("--alpha", type=float, default=0.05, help="chance of a false alarm per row (default 0.05)")
    parser.add_argument("--ignore", default="", help="fields that need not agree, as isa,threads")
    options = parser.parse_args()
    ignored = {name for name in options.ignore.split(",") if name}
    if ignored & {"threads"}:
        ignored |= {"prefill_threads", "decode_threads"}
    if ignored - set(KEY) or "test" in ignored:
        parser.error(f"--ignore takes some of {', '.join(KEY[1:])}")
    try:
        slower = report(group(read_rows(options.base), ignored), group(read_rows(options.new), ignored), options.alpha,
                        ignored)
    except Unusable as problem:
        print(f"compare_bench: {problem}", file=sys.stderr)
        return 2
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
