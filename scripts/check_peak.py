#!/usr/bin/env python3
"""Checks that the loops of the probes of arithmetic (kernels/<level>/peak.cpp) touch no memory: a probe whose sums
go through the stack measures stores, not multiplications, and kernels then exceed the "peak" beside them.

Usage: check_peak.py OBJDUMP OBJECT... Prints every violation; exit code 1 when there is one."""

import re
import subprocess
import sys

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(\S+)\s*([^#<]*)(<.*>)?")  # address, mnemonic, operands, target
TARGET = re.compile(r"(?:^|,\s*)([0-9a-f]+)\s*$")
BRANCH = re.compile(r"j[a-z]+|b|b\.[a-z]+|cbn?z|tbn?z")
MEMORY = re.compile(r"\[|\((?:%|,)")
HARMLESS = re.compile(r"nop|lea|cs|data16|xchg")  # padding, and sums of addresses


def instructions(listing):
    """Of the function `peak`: address, mnemonic, operands, where it jumps to (or None)."""
    inside = False
    for line in listing.splitlines():
        if function := FUNCTION.match(line):
            inside = "peak" in function[1]
        elif inside and (match := INSTRUCTION.match(line)):
            target = TARGET.search(match[3].strip()) if match[4] and BRANCH.fullmatch(match[2]) else None
            yield int(match[1], 16), match[2], match[3].strip(), int(target[1], 16) if target else None


def violations(objdump, path):
    listing = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], check=True, capture_output=True).stdout.decode()
    code = list(instructions(listing))
    returns = [address for address, mnemonic, _, _ in code if mnemonic.startswith("ret")]
    loops = [(target, address) for address, _, _, target in code
             if target is not None and target < address and not any(target <= r <= address for r in returns)]
    if not loops:
        yield f"{path}: no loop in a function named peak"
    for address, mnemonic, operands, _ in code:
        in_loop = any(begin <= address <= end for begin, end in loops)
        if in_loop and MEMORY.search(operands) and not HARMLESS.match(mnemonic):
            yield f"{path}: the loop reads or writes memory: {mnemonic} {operands}"


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    problems = [problem for path in sys.argv[2:] for problem in violations(sys.argv[1], path)]
    for problem in problems:
        print(problem)
    print(f"check_peak: {len(sys.argv) - 2} objects, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
