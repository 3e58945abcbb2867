#!/usr/bin/env python3
"""Checks the house rules that a compiler does not: who may include whom, what ISA files may pull in, which
symbols an ISA object may leak, how long files and all of them together get, and words that have no place in a public
repository.

Usage: check_layers.py [--objects BUILD/kernels]. With --objects also the ISA objects of that build are checked.
Prints every violation, the lines of code per room without tests and the longest files; exit code 1 when there is a
violation."""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CODE = {".h", ".cpp", ".inl", ".inc", ".comp", ".glsl"}
MAX_LINES = 600
MAX_LINES_IN_ALL = 61_500  # of code in all rooms, without tests: chat, schemas, saved sessions and the stores of others since 52,500

# Room -> what its #include "..." may name: a folder with all below it ("x/"), the files of one folder ("x/*.h"), or a file.
# The longest matching room counts.
BELOW_MODEL = ("base/", "runtime/", "kernels/")
ALLOWED = {
    "include/lapidary": ("lapidary/",),
    "base": ("base/", "lapidary/result.h", "lapidary/printable.h"),
    "kernels": ("kernels/",),
    "runtime": ("runtime/*.h", "kernels/", "base/", "lapidary/result.h"),
    "runtime/memory": ("runtime/memory/", "runtime/tensor.h", "base/", "lapidary/result.h"),
    "runtime/file": ("runtime/file/", "runtime/memory/", "runtime/tensor.h", "kernels/", "base/",
                     "lapidary/result.h"),
    "runtime/cpu": ("runtime/cpu/", "runtime/memory/", "runtime/trace/", "runtime/*.h", "kernels/", "base/",
                    "lapidary/result.h"),
    "runtime/vulkan": ("runtime/vulkan/", "shaders/", "runtime/memory/", "runtime/file/output_file.h", "runtime/trace/",
                       "runtime/*.h", "runtime/cpu/make_cpu_device.h", "runtime/cpu/thread_pool.h", "kernels/", "base/", "lapidary/result.h"),
    "runtime/plan": ("runtime/plan/", "runtime/file/json_file.h", "runtime/file/output_file.h", "kernels/formats.h", "base/", "lapidary/result.h"),
    "runtime/trace": ("runtime/trace/", "runtime/file/output_file.h", "runtime/*.h", "base/",
                      "lapidary/result.h"),
    "model/text": ("model/text/", "base/", "lapidary/"),
    "model/media": ("model/media/", "base/", "lapidary/result.h"),
    "model/media/ffmpeg": ("model/media/ffmpeg/",),
    "model/stores": ("model/stores/", "runtime/file/gguf.h", "runtime/file/json_file.h", "base/", "lapidary/result.h"),
    "model/load": ("model/load/", "model/stores/", "model/config.h", "model/weights.h", "model/text/", *BELOW_MODEL, "lapidary/result.h"),
    "model": ("model/*.h", "model/load/", "model/stores/", "model/text/", "model/media/", *BELOW_MODEL, "lapidary/"),
    "model/synth": ("model/synth/", "model/load/", "model/config.h", "model/weights.h", *BELOW_MODEL, "lapidary/"),
    "model/tools": ("model/tools/", "model/synth/", "model/*.h", "model/load/", "model/stores/", "model/text/", *BELOW_MODEL, "lapidary/"),
    "model/packing": ("model/packing/", "model/tools/", "model/*.h", "model/load/", "model/text/", *BELOW_MODEL,
                      "lapidary/"),
    "apps": ("apps/", "base/", "lapidary/"),
}
# A view is the same thing on every device: its host address is for these alone.
HOST_ACCESS = "runtime/memory/host_access.h"
MAY_ACCESS_HOST = ("runtime/cpu/", "runtime/vulkan/", "runtime/memory/", "runtime/file/", "model/load/", "model/synth/", "model/tools/",
                   "model/packing/", "tests/", "bench/")
# The CPU as a device is known to those who make one by make_cpu_device, and named by nobody else.
CPU_DEVICE = re.compile(r"^runtime/cpu/cpu\w*\.h$")
MAY_NAME_CPU_DEVICE = ("runtime/cpu/", "tests/", "bench/")
# Room -> system headers it must not name: kernels know no machine, the model no threads and instructions.
INTRINSICS = r"immintrin|x86intrin|arm_neon|xsimd"
FORBIDDEN = {
    "include/lapidary": INTRINSICS + r"|vulkan|nlohmann",
    "kernels": r"^(thread|mutex|atomic|fstream|iostream|filesystem|cstdio)$|vulkan|nlohmann",
    "runtime": INTRINSICS + r"|iostream",
    "model": INTRINSICS + r"|^thread$|vulkan|iostream",
    "apps": INTRINSICS + r"|vulkan|iostream",
}
# A header-inline function compiled with ISA flags may be the copy the linker keeps for everyone, so these
# files see almost nothing.
ISA_FILES = re.compile(r"^kernels/(simd/|avx2/|avxvnni/|avx512\w*/|neon\w*/)")
ISA_SYSTEM = {"cstdint", "cstddef", "immintrin.h", "arm_neon.h", "xsimd/xsimd.hpp"}

# Spelt in halves, so that this file is not its own finding.
PRIVATE = re.compile("|".join((r"(?<![\w.])/wo" r"rk/", r"(?<![\w.])/tm" r"p/", r"/ro" r"ot/", r"/ho" r"me/\w",
                               r"\bsub" r"agents?\b", r"\bAI ag" r"ents?\b", r"\bwork" r"place\b",
                               r"pypi\." r"org", r"pythonhosted\." r"org", r"deb\.debian\." r"org")))
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def tracked_files():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    return [name for name in names.decode().split("\0") if name and (ROOT / name).is_file()]


def all_files():
    """Tracked files; in an unpacked archive, every file outside build folders."""
    if (ROOT / ".git").exists():
        return tracked_files()
    paths = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
    return [str(p) for p in paths if p.parts[0] not in ("build", ".venv")]


def rooms_of(name):
    """The rooms a file is in, innermost first."""
    return sorted((room for room in ALLOWED if name.startswith(room + "/")), key=len, reverse=True)


def may_name(room, target):
    folder = target.rpartition("/")[0]
    return any(target.startswith(known) if known.endswith("/") else
               known in (target, folder + "/*.h") for known in ALLOWED[room])


def include_violations(name, text):
    rooms = rooms_of(name)
    for kind, target in re.findall(r'^\s*#\s*include\s*(["<])([^">]+)[">]', text, re.MULTILINE):
        if kind == '"' and rooms and not may_name(rooms[0], target):
            yield f'{name}: includes "{target}", which {rooms[0]} must not know'
        if target == HOST_ACCESS and not name.startswith(MAY_ACCESS_HOST):
            yield f'{name}: includes "{target}": views are opaque here'
        if CPU_DEVICE.match(target) and not name.startswith(MAY_NAME_CPU_DEVICE):
            yield f'{name}: includes "{target}": only the one who makes it knows the CPU device'
        for room in rooms:
            if kind == "<" and room in FORBIDDEN and re.search(FORBIDDEN[room], target):
                # Kernels may use intrinsics; model and the others may not.
                yield f"{name}: includes <{target}>, which {room} must not know"
        if ISA_FILES.match(name) and kind == "<" and target not in ISA_SYSTEM:
            yield f"{name}: includes <{target}>; files compiled per ISA may include {sorted(ISA_SYSTEM)}"


def text_violations(name, text):
    path = pathlib.Path(name)
    lines = text.count("\n") + 1
    if path.suffix in CODE | {".py", ".sh", ".cmake"} and path.suffix != ".inc" and lines > MAX_LINES:
        yield f"{name}: {lines} lines, the wall is {MAX_LINES}"
    for number, line in enumerate(text.splitlines(), 1):
        found = PRIVATE.search(line)
        if found:
            yield f"{name}:{number}: '{found.group()}' belongs to one machine or one person"
        if path.suffix in CODE and UNFINISHED.search(line):
            yield f"{name}:{number}: unfinished work"


def weak_symbol_violations(objects):
    """Weak symbols outside the ISA's own namespace; DW.ref.* are references to a personality routine.
    Level neon needs no flags: any copy of its inline functions is a good copy."""
    found = sorted(objects.glob("CMakeFiles/lapidary_kernels_*.dir/**/*.o"))
    if not found:
        yield f"{objects}: no ISA objects there"
    for path in found:
        isa = re.search(r"lapidary_kernels_(\w+)\.dir", str(path)).group(1)
        if isa == "neon":
            continue
        symbols = subprocess.run(["nm", "-C", path], check=True, capture_output=True).stdout.decode()
        for line in symbols.splitlines():
            match = re.match(r"^[0-9a-f ]{16} ([WVu]) (.*)$", line)
            if match and f"lapidary::kernels::{isa}" not in match[2] and not match[2].startswith("DW.ref."):
                yield f"{path.name} ({isa}): weak symbol {match[2]}"


def is_counted(name):
    return pathlib.Path(name).suffix in CODE and not name.startswith("tests/")


def lines_of_rooms(lengths):
    """Room -> lines, of {file: lines}; files outside the rooms count for their folder."""
    rooms = {}
    for name, lines in lengths.items():
        room = (rooms_of(name) or [name.partition("/")[0]])[0]
        rooms[room] = rooms.get(room, 0) + lines
    return rooms


def budget_violations(lengths):
    total = sum(lengths.values())
    if total > MAX_LINES_IN_ALL:
        yield f"{total:,} lines of code in all, the budget is {MAX_LINES_IN_ALL:,}"


def print_lengths(lengths):
    print("lines of code without tests:")
    for room, lines in sorted(lines_of_rooms(lengths).items()):
        print(f"{lines:8,}  {room}")
    print(f"{sum(lengths.values()):8,}  in all, of {MAX_LINES_IN_ALL:,}")
    longest = sorted(lengths, key=lengths.get, reverse=True)[:5]
    print("longest: " + ", ".join(f"{name} {lengths[name]}" for name in longest))


def violations(objects, lengths):
    """Fills `lengths` with the lines of every file of code without tests."""
    for name in all_files():
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue  # pictures, recordings, weights
        if is_counted(name):
            lengths[name] = text.count("\n")
        if pathlib.Path(name).suffix in CODE:
            yield from include_violations(name, text)
        if not name.startswith(("models/", "tests/data/")):
            yield from text_violations(name, text)
    yield from budget_violations(lengths)
    if objects:
        yield from weak_symbol_violations(objects)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=pathlib.Path, help="the kernels folder of a build")
    lengths = {}
    problems = list(violations(parser.parse_args().objects, lengths))
    print_lengths(lengths)
    for problem in problems:
        print(problem)
    print(f"check_layers: {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
