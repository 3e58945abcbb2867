"""What the tests of the program share: running it, the bundled model, and copies of it with one fault.

Every test file here is a unittest program of its own; ctest passes the program's path in LAPIDARY_PROGRAM.
Only the standard library is used."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "models" / "tiny"
SAMPLES = TINY / "samples"
PROGRAM = os.environ.get("LAPIDARY_PROGRAM", str(ROOT / "build" / "release" / "bin" / "lapidary"))
FFMPEG = os.environ.get("LAPIDARY_BUILT_FFMPEG", "ON") == "ON"  # whether this build reads videos
TIMEOUT_S = 120  # generous: sanitizer builds run these tests too


def clean_environment(**extra):
    """The caller's environment without what would change the program's answers."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LAPIDARY_")}
    env.update(extra)
    return env


def lapidary(*args, stdin=b"", env=None, **options):
    """Runs the program to its end. stdin: bytes, or None for an empty one."""
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([PROGRAM, *(a if isinstance(a, bytes) else str(a) for a in args)], input=stdin, stderr=subprocess.PIPE,
                          env=env or clean_environment(), timeout=TIMEOUT_S, **options)


def crafted_gguf(architecture, magic=b"GGUF"):
    """A GGUF file with one key and no tensors."""
    def text(value):
        return struct.pack("<Q", len(value)) + value
    return (magic + struct.pack("<IQQ", 3, 0, 1) + text(b"general.architecture") +
            struct.pack("<I", 8) + text(architecture))


class CliTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lapidary-cli-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def ok(self, *args, **options):
        """Runs, expects success, returns stdout as text."""
        done = lapidary(*args, **options)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def ok_json(self, *args, **options):
        text = self.ok(*args, "--json", **options)
        self.assertEqual(text.count("\n"), 1, "one JSON object on one line")
        return json.loads(text)

    def fails(self, code, *args, says=(), **options):
        """Expects this exit code, nothing on stdout and one error line that contains every word of `says`;
        then the same with --json: the error object on stdout. Returns the error object."""
        done = lapidary(*args, **options)
        error = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, code, error)
        self.assertEqual(done.stdout or b"", b"")
        lines = [line for line in error.splitlines() if not line.startswith("model: ")]
        self.assertEqual(len(lines), 1, error)
        self.assertTrue(lines[0].startswith("lapidary: "), error)
        for word in [says] if isinstance(says, str) else says:
            self.assertIn(str(word), lines[0])
        done = lapidary(*args, "--json", **options)
        self.assertEqual(done.returncode, code)
        answer = json.loads(done.stdout)
        self.assertEqual(set(answer["error"]), {"code", "message", "hint"})
        self.assertNotEqual(answer["error"]["message"], "")
        return answer["error"]

    def tiny_copy(self, name="copy", **changed):
        """A folder like the bundled model; changed: file name with _ for . -> new content."""
        folder = self.folder / name
        folder.mkdir()
        for entry in TINY.iterdir():
            if entry.is_file():
                os.symlink(entry, folder / entry.name)
        for key, content in changed.items():
            path = folder / key.replace("__", ".")
            path.unlink(missing_ok=True)
            path.write_bytes(content)
        return folder

    def endless_model(self):
        """The bundled model, forbidden to say any of its stop ids: it talks until the context is full."""
        settings = json.loads((TINY / "generation_config.json").read_text())
        settings["suppress_tokens"] += settings["eos_token_id"]
        return self.tiny_copy("endless", generation_config__json=json.dumps(settings).encode())


def main():
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"no program at {PROGRAM}; set LAPIDARY_PROGRAM")
    unittest.main(verbosity=2)
