#!/usr/bin/env python3
"""Reads the C++ files of a build folder one by one as its compiler does, with all warnings, and makes no code: a second
compiler's opinion in a third of the time of a build, also of what others compile in batches. Usage:
check_syntax.py BUILD_FOLDER [FOLDER_LEFT_OUT...]
Files that the build makes must be there: cmake --build BUILD_FOLDER --target lapidary_shaders."""
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def read(entry):
    return subprocess.run(entry["command"] + " -fsyntax-only", shell=True, cwd=entry["directory"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


if len(sys.argv) < 2:
    sys.exit(__doc__)
left_out = tuple(os.path.abspath(folder) + os.sep for folder in sys.argv[2:])
with open(os.path.join(sys.argv[1], "compile_commands.json"), encoding="utf-8") as file:
    entries = [entry for entry in json.load(file) if not entry["file"].startswith(left_out)]
failed = 0
with ThreadPoolExecutor(os.cpu_count()) as pool:
    for result in pool.map(read, entries):
        print(result.stdout, end="")
        failed += result.returncode != 0
print(f"check_syntax: {len(entries)} files, {failed} refused")
sys.exit(1 if failed or not entries else 0)
