#!/usr/bin/env python3
"""Checks that objects hold vpdpbusd in its VEX encoding and not one EVEX instruction: CPUs with AVX-VNNI but
without AVX-512 must be able to run them.

Usage: check_vex.py OBJECT... Prints every violation; exit code 1 when there is one."""

import re
import subprocess
import sys

# "  4be:<tab>c4 42 15 50 d3 <tab>{vex} vpdpbusd ..."
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\t((?:[0-9a-f]{2} )+)\s*\t(.*)$")
EVEX, VEX3 = "62", "c4"  # first bytes in 64-bit mode (Intel SDM vol. 2A, 2.3 and 2.7)


def violations(path):
    listing = subprocess.run(["objdump", "-d", path], check=True, capture_output=True).stdout.decode()
    dots = 0
    for line in listing.splitlines():
        match = INSTRUCTION.match(line)
        if not match:
            continue
        first = match[1].split()[0]
        if first == EVEX:
            yield f"{path}: EVEX instruction {match[2].strip()}"
        dots += "vpdpbusd" in match[2] and first == VEX3
    if dots == 0:
        yield f"{path}: no vpdpbusd in VEX encoding"


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    problems = [problem for path in sys.argv[1:] for problem in violations(path)]
    for problem in problems:
        print(problem)
    print(f"check_vex: {len(sys.argv) - 1} objects, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
