#!/usr/bin/env python3
"""Checks that tests mirror sources: tests/<room>/<file>_test.cpp tests <room>/<file>.cpp (or .h, .inl), and every
source file with code of its own has such a test or stands below with the test that covers it.

Prints every violation; exit code 1 when there is one."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROOMS = ("kernels", "runtime", "model")

# Source (without suffix) -> the test file that covers it, and why it has none of its own.
COVERED_ELSEWHERE = {}

# Test (without _test.cpp) -> what it tests, where no single source file carries its name.
TESTS_OF_MANY = {}


def main():
    problems = []
    sources = {str(p.relative_to(ROOT).with_suffix("")) for room in ROOMS for suffix in ("cpp", "h", "inl")
               for p in (ROOT / room).rglob(f"*.{suffix}")}
    compiled = {str(p.relative_to(ROOT).with_suffix("")) for room in ROOMS for p in (ROOT / room).rglob("*.cpp")}
    tests = {str(p.relative_to(ROOT / "tests"))[:-len("_test.cpp")]
             for room in ROOMS for p in (ROOT / "tests" / room).rglob("*_test.cpp")}
    for test in sorted(tests - sources - set(TESTS_OF_MANY)):
        problems.append(f"tests/{test}_test.cpp mirrors no file {test}.cpp, .h or .inl")
    for source in sorted(compiled - tests - set(COVERED_ELSEWHERE)):
        problems.append(f"{source}.cpp has no tests/{source}_test.cpp")
    for source, (test, _reason) in sorted(COVERED_ELSEWHERE.items()):
        if source not in compiled:
            problems.append(f"the list names {source}, which is no source file")
        if source in tests:
            problems.append(f"the list names {source}, which has a test of its own")
        if not (ROOT / "tests" / test).is_file():
            problems.append(f"{source} is said to be covered by tests/{test}, which is missing")
    for test in sorted(set(TESTS_OF_MANY) - tests):
        problems.append(f"the list names tests/{test}_test.cpp, which is missing")
    for problem in problems:
        print(problem)
    print(f"check_tests_mirror: {len(compiled)} sources, {len(tests)} tests, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
