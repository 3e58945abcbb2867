"""docs/cli.md is what the program's help says."""

import subprocess
import unittest

from support import PROGRAM, ROOT, CliTest, main


class Docs(CliTest):
    def test_reference_is_current(self):
        done = subprocess.run([ROOT / "scripts" / "gen_cli_docs.sh", PROGRAM], stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.decode(), (ROOT / "docs" / "cli.md").read_text(),
                         "run scripts/gen_cli_docs.sh build/release/bin/lapidary > docs/cli.md")


if __name__ == "__main__":
    main()
