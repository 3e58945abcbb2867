"""--placement gpu with the first device that can be used, or a software one: the CPU's tokens, and what says which it was."""

import os
import tempfile
import unittest

from support import SAMPLES, TINY, CliTest, clean_environment, main

QUESTION = ["-p", "Who are you?", "--temp", "0", "-n", "8", "--precise"]


class Gpu(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cache = tempfile.TemporaryDirectory()  # of all tests: shaders are tested once
        cls.addClassCleanup(cls.cache.cleanup)

    def setUp(self):
        super().setUp()
        self.env = clean_environment(XDG_CACHE_HOME=self.cache.name)
        report = self.ok_json("doctor")
        usable = [gpu for gpu in report["gpus"] if gpu["usable"]]
        if not usable and "LAPIDARY_EXPECT_TOOLS" in os.environ and "this build has no Vulkan" not in report["gpu"]:
            self.fail(f"a software device is expected here: {report['gpu']}")
        if not usable:
            self.skipTest(report["gpu"])
        self.gpu = usable[0]

    def test_the_cpu_s_tokens_by_number_name_and_environment(self):
        want = self.ok_json("run", TINY, *QUESTION, "--placement", "cpu")["tokens"]
        name = self.gpu["name"][:8].upper()
        for options, more in ((["--device", self.gpu["index"]], {}), (["--placement", "gpu", "--device", name], {}),
                              ([], {"LAPIDARY_PLACEMENT": "gpu", "LAPIDARY_DEVICE": name})):
            with self.subTest(options=options):
                got = self.ok_json("run", TINY, *QUESTION, *options, env={**self.env, **more})
                self.assertEqual(got["tokens"], want)
        # What the second start need not compile again.
        self.assertTrue(any(os.scandir(os.path.join(self.cache.name, "lapidary"))))

    def test_shared_with_the_cpu(self):
        want = self.ok_json("run", TINY, *QUESTION, "--placement", "cpu")["tokens"]
        device = ["--device", self.gpu["index"]]
        for options, kind in ((["--gpu-layers", "3"], "layers"), (["--split", "0.4"], "rows"), (["--placement", "phases"], "phases")):
            with self.subTest(options=options):
                self.assertEqual(self.ok_json("run", TINY, *QUESTION, *device, *options, env=self.env)["tokens"], want)
                plan = self.ok_json("plan", TINY, *device, *options, env=self.env)
                self.assertEqual(plan["placement"]["kind"], kind)
                line = self.ok_json("bench", TINY, "-p", "16", "-n", "0", "-r", "1", *device, *options, env=self.env)
                self.assertEqual(line["placement"], "phases" if kind == "phases" else "split")

    def test_a_picture(self):
        picture = sorted(SAMPLES.glob("*.png"))[0]
        ask = ["run", TINY, "--image", picture, *QUESTION]
        self.assertEqual(self.ok_json(*ask, "--device", self.gpu["index"], env=self.env)["tokens"], self.ok_json(*ask)["tokens"])

    def test_bench_names_it(self):
        line = self.ok_json("bench", TINY, "-p", "16", "-n", "0", "-r", "1", "--device", self.gpu["index"], env=self.env)
        self.assertEqual((line["gpu"], line["placement"]), (self.gpu["name"], "gpu"))
        self.assertGreater(line["machine_gbps"], 0)
        self.assertGreater(line["machine_gmacs"], 0)

    def test_divergence_from_the_cpu(self):
        text = self.file("text.txt", "Paris is the capital of France. " * 3)
        report = self.ok_json("kld", TINY, text, "--ctx", "32", "--device", self.gpu["index"], "--base-placement", "cpu",
                              env=self.env)
        self.assertEqual((report["model"]["gpu"], report["base"]["gpu"]), (self.gpu["name"], None))
        # Rounding of products' inputs to 2^-9 moves logits of up to 30 by 0.06; the divergence is about half the square.
        self.assertLess(report["kl_mean"], 2e-3)


if __name__ == "__main__":
    main()
