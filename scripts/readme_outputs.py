#!/usr/bin/env python3
"""Runs every command that README.md shows behind a `$` and compares what it prints with what stands below it.

Usage: readme_outputs.py PROGRAM [--write]. Without --write, prints the differences and exits with 1 when there is
one; with it, README.md gets what the program says now. Lines that depend on the machine or the clock are compared
by their shape only, and --write leaves them as they are when nothing else changed."""

import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```\n(\$ .*?)^```\n", re.MULTILINE | re.DOTALL)
# What differs from machine to machine, and what stands for it in the comparison.
SHAPES = ((r"^cpu .*", "cpu"), (r"^memory .*", "memory"), (r"^gpu .*", "gpu"), (r"\b(yes|no)\b *", "?"), (r"\d+\.\d s\b", "? s"))


def shape(text):
    for pattern, stand_in in SHAPES:
        text = re.sub(pattern, stand_in, text, flags=re.MULTILINE)
    return text


def blocks(readme):
    """Of every block: its text, and pairs of a command and its output."""
    for match in BLOCK.finditer(readme):
        pairs = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", match[1], re.MULTILINE)
        yield match[1], [(command, output.rstrip("\n") + "\n") for command, output in pairs]


def run(program, folder, command):
    """The command as a reader would type it in the repository; what it writes goes to a folder that is removed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LAPIDARY_")}
    env["PATH"] = f"{folder / 'bin'}:{env['PATH']}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300, check=False)
    # `| head -3` ends the program early, in good order.
    if done.returncode != 0:
        raise SystemExit(f"$ {command}\nends with {done.returncode}: {done.stderr}")
    return done.stdout


def refreshed(readme, program):
    with tempfile.TemporaryDirectory(prefix="lapidary-readme-") as name:
        folder = pathlib.Path(name)
        (folder / "bin").mkdir()
        (folder / "bin" / "lapidary").symlink_to(pathlib.Path(program).resolve())
        (folder / "models").symlink_to(ROOT / "models")
        (folder / "README.md").symlink_to(README)
        for text, pairs in blocks(readme):
            new = []
            for command, old in pairs:
                got = run(program, folder, command)
                new.append(f"$ {command}\n{old if shape(old) == shape(got) else got}")
            readme = readme.replace(text, "\n".join(new))
    return readme


def main(program, write):
    old = README.read_text()
    new = refreshed(old, program)
    if write:
        README.write_text(new)
        return 0
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "README.md", "the program"))
    return 1 if old != new else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--write"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:] == ["--write"]))
