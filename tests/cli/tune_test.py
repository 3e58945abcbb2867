"""`lapidary tune`, and the first run on a GPU: shaders are tested in a process of their own, and what that was at when it ended
is a verdict."""

import json
import unittest

from support import TINY, CliTest, clean_environment, lapidary, main

QUESTION = ["-p", "Who are you?", "--temp", "0", "-n", "4"]
QUICK = ["--shapes", "tiny", "--seconds", "0.01"]
NEW = "is new here: its shaders are tested first"


class Tune(CliTest):
    def setUp(self):
        super().setUp()
        self.env = clean_environment(XDG_CACHE_HOME=str(self.folder))
        usable = [gpu for gpu in self.ok_json("doctor")["gpus"] if gpu["usable"]]
        if not usable:
            self.skipTest("no Vulkan device here can be used")
        self.device = ["--device", usable[0]["index"]]

    def verdicts(self):
        return self.ok_json("doctor", env=self.env)["gpus"][self.device[1]]["verdicts"]

    def forget(self):
        for file in (self.folder / "lapidary").glob("gpu-*.json"):
            file.unlink()

    def run_model(self):
        return lapidary("run", TINY, *QUESTION, *self.device, "--json", env=self.env)

    def test_what_is_found_out_is_kept_and_shown(self):
        self.assertEqual((self.verdicts()["passed"], self.verdicts()["failed"]), (0, []))
        report = self.ok_json("tune", TINY, *self.device, *QUICK, env=self.env)
        self.assertTrue(report["finished"])
        for device in ("cpu", "gpu"):
            self.assertGreater(report["rates"][device]["read_gbps"], 0)
        plan = self.ok_json("plan", TINY, *self.device, env=self.env)
        self.assertGreater(plan["expected"]["decode_tps"], 0)
        self.assertGreater(report["verdicts"]["passed"], 10)
        self.assertEqual(report["verdicts"]["failed"], [])
        self.assertNotIn("matvec_bf16", report["verdicts"]["untested"])  # of the bundled model
        self.assertEqual(self.verdicts(), report["verdicts"])
        self.assertIn(f"{report['verdicts']['passed']} tests passed, 0 failed", self.ok("doctor", env=self.env))
        self.assertNotIn(NEW, self.run_model().stderr.decode())

    def test_the_first_run_tests_by_itself(self):
        first, second = self.run_model(), self.run_model()
        self.assertEqual((first.returncode, second.returncode), (0, 0), first.stderr)
        self.assertIn(NEW, first.stderr.decode())
        self.assertNotIn(NEW, second.stderr.decode())
        self.assertEqual(json.loads(first.stdout)["tokens"], json.loads(second.stdout)["tokens"])
        self.assertGreater(self.verdicts()["passed"], 10)

    def test_a_test_that_was_killed_has_failed_until_tune_asks_again(self):
        # When a test runs is the machine's business; that most of the time is spent in them is not.
        for limit in (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, 2.4):
            self.forget()
            killed = lapidary("tune", TINY, *self.device, "--time-limit", limit, "--json", env=self.env)
            if self.verdicts()["failed"]:
                break
        self.assertEqual(killed.returncode, 5)
        report = json.loads(killed.stdout)
        self.assertFalse(report["finished"])
        self.assertIn("did not end within", report["tests"])
        [failed] = self.verdicts()["failed"]
        self.assertEqual(failed["reason"], "did not come back from its self-test")
        self.assertEqual(report["verdicts"]["failed"], [failed])
        done = self.run_model()  # by another shader, or not at all
        if done.returncode != 0:
            self.assertEqual(done.returncode, 5)
            self.assertIn("did not come back from its self-test", json.loads(done.stdout)["error"]["message"])
        self.assertIn(failed, self.verdicts()["failed"])
        self.assertEqual(self.ok_json("tune", TINY, *self.device, *QUICK, env=self.env)["verdicts"]["failed"], [])
        self.assertEqual(self.run_model().returncode, 0)

    def test_what_there_is_to_tune(self):
        alone = self.ok_json("tune", TINY, "--placement", "cpu", *QUICK, env=self.env)
        self.assertEqual((alone["gpu"], alone["rates"]["gpu"]), (None, None))
        self.assertGreater(self.ok_json("plan", TINY, env=self.env)["expected"]["decode_tps"], 0)
        self.fails(5, "tune", TINY, "--device", "no such GPU", says="no such GPU")
        self.fails(2, "tune", TINY, *self.device, "--time-limit", "0", says="--time-limit")


if __name__ == "__main__":
    main()
