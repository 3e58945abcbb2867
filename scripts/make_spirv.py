#!/usr/bin/env python3
"""SPIR-V of the shaders that old compilers do not know: rows of shaders/shaders.inc that need cooperative matrices, for
builds whose glslc lacks GL_KHR_cooperative_matrix (before shaderc 2023.8; Debian 12's).

    scripts/make_spirv.py            makes shaders/spirv/*.spv and versions.txt; needs glslc of Debian 13 or newer
    scripts/make_spirv.py --check    proves that the files are those of the sources: by the hash of each row, its source and
                                     all that it includes; by its words too, where glslc is of the recorded version

versions.txt: the compiler, then a line a file: its name, the hash of its sources, its own hash."""
import argparse
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile

SHADERS = pathlib.Path(__file__).resolve().parent.parent / "shaders"
FOLDER = SHADERS / "spirv"
VERSIONS = FOLDER / "versions.txt"
ROW = re.compile(r'^LAP_SHADER\((\w+), "([\w.]+)", "([^"]*)", "\w*", \d+, (.*)\)$', re.M)
# As shaders/CMakeLists.txt has them.
OPTIONS = ["-O", "--target-env=vulkan1.2", "-fshader-stage=compute", f"-I{SHADERS}"]


def rows():
    for name, source, defines, needs in ROW.findall((SHADERS / "shaders.inc").read_text()):
        if "kMatrix" in needs:
            yield name, source, defines.split()


def sources(name, seen):
    """A file and all that it includes, under whichever conditions, in the order of their first mention."""
    if name not in seen:
        seen.append(name)
        for other in re.findall(r'^#include "([^"]+)"', (SHADERS / name).read_text(), re.M):
            sources(other, seen)
    return seen


def digest(data):
    return hashlib.sha256(data).hexdigest()[:32]


def source_hash(source, defines):
    text = "\0".join([" ".join(defines)] + [(SHADERS / s).read_text() for s in sources(source, [])])
    return digest(text.encode())


def compiler(glslc):
    try:
        lines = subprocess.run([glslc, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return "; ".join(line for line in lines if line and not line.startswith("Target"))


def compile_row(glslc, source, defines):
    with tempfile.NamedTemporaryFile(suffix=".spv") as out:
        subprocess.run([glslc, *OPTIONS, *("-D" + d for d in defines), "-o", out.name, str(SHADERS / source)], check=True)
        return pathlib.Path(out.name).read_bytes()


def make(glslc):
    made = {}  # all of them, before a file that is there goes
    lines = [compiler(glslc)]
    for name, source, defines in rows():
        made[name] = compile_row(glslc, source, defines)
        lines.append(f"{name} {source_hash(source, defines)} {digest(made[name])}")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.spv"):
        old.unlink()
    for name, words in made.items():
        (FOLDER / f"{name}.spv").write_bytes(words)
    VERSIONS.write_text("\n".join(lines) + "\n")


def check(glslc):
    recorded, *lines = VERSIONS.read_text().splitlines()
    known = {line.split()[0]: line.split()[1:] for line in lines}
    same_compiler = compiler(glslc) == recorded
    wrong = sorted({f.stem for f in FOLDER.glob("*.spv")} ^ {name for name, _, _ in rows()})
    wrong = [f"{name}: a file without a row, or a row without a file" for name in wrong]
    for name, source, defines in rows():
        file = FOLDER / f"{name}.spv"
        if name not in known or not file.exists():
            continue
        if known[name] != [source_hash(source, defines), digest(file.read_bytes())]:
            wrong.append(f"{name}: not of these sources")
        elif same_compiler and compile_row(glslc, source, defines) != file.read_bytes():
            wrong.append(f"{name}: {recorded} makes other words")
    wrong += [f"{name}: not in versions.txt" for name, _, _ in rows() if name not in known]
    for line in wrong:
        print(f"shaders/spirv: {line}", file=sys.stderr)
    if wrong:
        sys.exit("run scripts/make_spirv.py with a glslc that knows GL_KHR_cooperative_matrix")
    print(f"{len(known)} files: sources' hashes agree; words " +
          ("agree too" if same_compiler else f"not compared, made by {recorded}, here is {compiler(glslc)}"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glslc", nargs="?", default="glslc", help="the compiler")
    parser.add_argument("--check", action="store_true", help="prove instead of make")
    wanted = parser.parse_args()
    (check if wanted.check else make)(wanted.glslc)
