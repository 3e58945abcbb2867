#!/usr/bin/env python3
"""Makes one static library of several: all objects linked into one, where only the public functions stay global.

Usage: merge_static.py --cxx CXX --objcopy OBJCOPY --nm NM --ar AR --map api.map --out LIB.a ARCHIVE..."""

import argparse
import fnmatch
import pathlib
import re
import subprocess
import tempfile


def patterns(version_script):
    """The names in the global part of a version script; quoted ones are names, the others patterns."""
    text = re.sub(r"#.*", "", version_script.split("local:")[0])
    for quoted, plain in re.findall(r'^\s*(?:"([^"]+)"|([\w:*?]+));', text, re.MULTILINE):
        yield quoted or plain


def public_symbols(nm, objects, wanted):
    """Mangled names of the defined symbols whose readable names match."""
    def names(*flags):
        out = subprocess.run([nm, "--defined-only", "--extern-only", "--no-sort", "--format=posix", *flags, objects], check=True,
                             capture_output=True, text=True).stdout
        return out.splitlines()
    mangled = [line.split(" ")[0] for line in names()]
    readable = [re.sub(r" [A-Za-z] [0-9a-f]*( [0-9a-f]*)?\s*$", "", line) for line in names("--demangle")]
    return [m for m, r in zip(mangled, readable) if any(fnmatch.fnmatchcase(r, w) for w in wanted)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for tool in ("cxx", "objcopy", "nm", "ar"):
        parser.add_argument(f"--{tool}", required=True)
    parser.add_argument("--map", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("archives", nargs="+")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=a.out.parent) as folder:
        whole, keep = pathlib.Path(folder) / "lapidary.o", pathlib.Path(folder) / "keep"
        # Groups are resolved here: what becomes local must not be given up for a namesake in the program.
        subprocess.run([a.cxx, "-r", "-nostdlib", "-Wl,--force-group-allocation", "-o", whole,
                        "-Wl,--whole-archive", *a.archives], check=True)
        symbols = public_symbols(a.nm, whole, list(patterns(a.map.read_text())))
        if not symbols:
            raise SystemExit("merge_static.py: no public symbol found")
        keep.write_text("\n".join(symbols) + "\n")
        subprocess.run([a.objcopy, f"--keep-global-symbols={keep}", whole], check=True)
        a.out.unlink(missing_ok=True)
        subprocess.run([a.ar, "rcs", a.out, whole], check=True)


if __name__ == "__main__":
    main()
