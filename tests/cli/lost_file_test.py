"""A model that becomes shorter while it is used ends the program with one clear error, not by a signal without a word."""

import json
import os
import signal
import subprocess
import time
import unittest

from support import PROGRAM, TINY, CliTest, clean_environment, main


class LostFile(CliTest):
    def truncated(self, model, *args):
        """The program, which uses the model for long; its file is cut in the middle of that."""
        child = subprocess.Popen([PROGRAM, "bench", str(model), "-p", "64", "-n", "0", "-r", "1000", "-t", "2", *args],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
        self.addCleanup(child.kill)
        time.sleep(1)
        self.assertIsNone(child.poll())
        os.truncate(model, 4096)
        out, error = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 3, error)
        return out.decode(), error.decode()

    def packed(self):
        path = self.folder / 'a "model".lapidary'
        self.ok("pack", TINY, path)
        return path

    def test_on_stderr(self):
        path = self.packed()
        out, error = self.truncated(path)
        self.assertNotIn("error", out)
        last = error.splitlines()[-1]
        self.assertTrue(last.startswith(f"lapidary: {path} became shorter"), error)

    def test_as_json(self):
        path = self.packed()
        out, _ = self.truncated(path, "--json")
        error = json.loads(out.splitlines()[-1])["error"]
        self.assertEqual(error["code"], "bad_model_file")
        self.assertIn(str(path), error["message"])

    def test_signals_of_others_stay(self):
        child = subprocess.Popen([PROGRAM, "bench", str(TINY), "-p", "64", "-r", "1000"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=clean_environment())
        self.addCleanup(child.kill)
        time.sleep(0.5)
        child.send_signal(signal.SIGBUS)
        self.assertEqual(child.wait(timeout=30), -signal.SIGBUS)


if __name__ == "__main__":
    main()
