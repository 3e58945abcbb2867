"""README.md: every command it shows is run and prints what stands there; every one it names exists."""

import re
import subprocess
import sys
import unittest

from support import PROGRAM, ROOT, CliTest, main

sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True
import readme_outputs  # noqa: E402  (the path above is what makes it importable)

README = (ROOT / "README.md").read_text()


class Readme(CliTest):
    def test_outputs_are_current(self):
        done = subprocess.run([sys.executable, ROOT / "scripts" / "readme_outputs.py", PROGRAM], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""),
                         "run scripts/readme_outputs.py build/release/bin/lapidary --write")

    def test_a_stale_line_is_found(self):
        commands = [command for _, pairs in readme_outputs.blocks(README) for command, _ in pairs]
        self.assertGreater(len(commands), 6)
        line = next(line for line in README.splitlines() if line.endswith('"▁you","?"]}'))
        self.assertIn(line, readme_outputs.refreshed(README.replace(line, line.replace("468", "469")), PROGRAM))

    def test_shapes(self):
        same = readme_outputs.shape
        self.assertEqual(same("cpu      A · 2 cores\n"), same("cpu      B · 64 cores\n"))
        self.assertEqual(same("  avx2  yes  yes  no\n"), same("  avx2  yes  no   no\n"))
        self.assertNotEqual(same("lapidary 0.1.0\n"), same("lapidary 0.2.0\n"))

    def test_commands_in_sentences_exist(self):
        for words in re.findall(r"`lapidary ([a-z]+[^`]*)`", README.replace("\n", " ")):
            verb, *rest = words.split()
            with self.subTest(command=words):
                page = self.ok(verb, "--help")
                for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", " ".join(rest)):
                    self.assertRegex(page, rf"(?m)^  (-\w, )?{re.escape(option)}\b")


if __name__ == "__main__":
    main()
