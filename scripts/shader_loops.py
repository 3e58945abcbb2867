#!/usr/bin/env python3
"""Counts the instructions in the loops of shaders: `shaders_bench --assembly | scripts/shader_loops.py`, of AMD's
compilers. A loop is what lies between a label and a branch back to it, without the loops inside; those with packed dot
products or multiply-adds, and all with loads, are printed."""

import re
import sys
from collections import Counter

CASE = re.compile(r"^(\S.*?) \[([^\]]*)\];")
LABEL = re.compile(r"^(BB\d+):")
BRANCH = re.compile(r"^s_c?branch\w*\s+(BB\d+)")


def kind(op):
    if op.startswith("v_dot"):
        return "dot"
    if re.match(r"v_(pk_)?fma|v_(pk_)?fmac|v_dual_fmac", op):
        return "fma"
    if op.startswith(("global_load", "buffer_load", "flat_load")):
        return op.split("_", 1)[1]
    if op.startswith(("scratch_", "buffer_store", "global_store")):
        return op
    if op.startswith("ds_"):
        return op
    if op.startswith("v_"):
        return "valu"
    return "wait" if op.startswith("s_waitcnt") else "salu"


def loops(lines):
    """[(first, last)] of instruction indices, and all instructions."""
    instructions, labels = [], {}
    found = []
    for line in lines:
        text = line.strip()
        if label := LABEL.match(text):
            labels[label[1]] = len(instructions)
            continue
        op = text.split(";")[0].strip()
        if not op or not re.match(r"[a-z]", op):
            continue
        instructions.append(op.split()[0])
        if (branch := BRANCH.match(op)) and branch[1] in labels:
            found.append((labels[branch[1]], len(instructions)))
    return instructions, found


def report(name, lines):
    instructions, found = loops(lines)
    for first, last in sorted(found):
        inner = [(a, b) for a, b in found if (first, last) != (a, b) and first <= a and b <= last]
        own = [op for i, op in enumerate(instructions[first:last], first) if not any(a <= i < b for a, b in inner)]
        counts = Counter(kind(op) for op in own)
        if not (counts["dot"] or counts["fma"] > 3 or any("load" in k for k in counts)):
            continue
        vector = sum(1 for op in own if op.startswith("v_"))
        parts = ", ".join(f"{k} {n}" for k, n in sorted(counts.items(), key=lambda item: -item[1]))
        print(f"{name}: {len(own)} instructions, {vector} vector: {parts}")


def main():
    name, lines = None, []
    for line in sys.stdin:
        if case := CASE.match(line):
            if name:
                report(name, lines)
            name, lines = f"{case[1]} [{case[2]}]", []
        elif name:
            lines.append(line)
    if name:
        report(name, lines)


if __name__ == "__main__":
    main()
