"""`lapidary kld`: two models, two settings of one, and what does not go together."""

import unittest

from support import ROOT, TINY, CliTest, main

PEER = ROOT / "tests" / "data" / "peer"
RANDOM = ["--random-tokens", 100]
SIDE = {"model", "type", "kv", "precise", "gpu"}
FIELDS = {"kl_mean", "kl_mean_error", "kl_median", "kl_p90", "kl_p99", "kl_max", "same_top", "same_top_error", "p_mean",
          "p_mean_error", "p_rms", "p_rms_error", "perplexity", "perplexity_error", "base_perplexity",
          "base_perplexity_error", "perplexity_ratio", "perplexity_ratio_error", "tokens", "contexts", "ctx", "stride",
          "reduced_rows", "tail_mass", "kl_understated", "kl_understated_error", "model", "base", "isa", "threads",
          "seconds"}


class Kld(CliTest):
    def test_two_settings_of_one_model(self):
        report = self.ok_json("kld", PEER / "quant3-q4_0.gguf", "--base-precise", *RANDOM)
        self.assertEqual(set(report), FIELDS)
        self.assertEqual(set(report["model"]), SIDE)
        self.assertEqual(set(report["base"]), SIDE)
        self.assertEqual((report["model"]["kv"], report["model"]["precise"]), ("f16", False))
        self.assertEqual((report["base"]["kv"], report["base"]["precise"]), ("f32", True))
        self.assertEqual((report["tokens"], report["reduced_rows"], report["kl_understated"]), (100, 0, 0))
        self.assertGreater(report["kl_mean"], 0)
        self.assertGreaterEqual(report["kl_max"], report["kl_p99"])
        self.assertGreaterEqual(report["kl_p99"], report["kl_p90"])
        self.assertGreaterEqual(report["kl_p90"], report["kl_median"])
        self.assertAlmostEqual(report["perplexity_ratio"], report["perplexity"] / report["base_perplexity"], places=9)

    def test_coarser_formats_diverge_more(self):
        kl = [self.ok_json("kld", PEER / f"quant3-{name}.gguf", "--base", PEER / "quant3-f16.gguf", "--precise",
                           "--base-precise", *RANDOM)["kl_mean"] for name in ("q8_0", "q6_k", "q4_0", "q2_k")]
        self.assertEqual(kl, sorted(kl))
        self.assertGreater(kl[0], 0)
        self.assertGreater(kl[3], 100 * kl[0])  # steps 64 times as wide: errors squared

    def test_a_model_against_itself(self):
        report = self.ok_json("kld", TINY, "--base", TINY, *RANDOM)
        self.assertEqual((report["kl_max"], report["same_top"], report["perplexity_ratio"]), (0, 1, 1))

    def test_kv_formats(self):
        text = self.file("a.txt", "Who are you? " * 30)
        kl = [self.ok_json("kld", TINY, "--base-kv", "f32", "--kv", kv, text)["kl_mean"] for kv in ("f16", "q8_0")]
        self.assertGreater(kl[0], 0)
        self.assertGreater(kl[1], kl[0])

    def test_for_people(self):
        page = self.ok("kld", TINY, "--base-precise", *RANDOM)
        for word in ("mean KL", "nats", "99 %", "same top token", "perplexity", "100 tokens in 1 context of 512"):
            self.assertIn(word, page)
        self.assertNotIn("reduced", page)

    def test_usage(self):
        text = self.file("a.txt", "Who are you?")
        self.fails(2, "kld", TINY, text, says="itself")
        self.fails(2, "kld", TINY, text, "--precise", "--base-precise", says="itself")
        self.fails(2, "kld", "-m", TINY, "--base-precise", says="no text")
        self.fails(2, "kld", TINY, "--base", PEER / "quant3-f16.gguf", text, "--base-kv", "f64", says="f64")
        self.fails(3, "kld", TINY, "--base", self.folder / "absent.gguf", text, says="absent.gguf")
        self.fails(3, "kld", self.folder / "absent.gguf", "--base", TINY, text, says="absent.gguf")

    def test_other_vocabularies(self):
        synthetic = self.folder / "s.gguf"
        self.ok("synth", synthetic, "--preset", "tiny", "--type", "q4_0")
        self.fails(2, "kld", synthetic, "--base", TINY, *RANDOM, says=["2048", "1024"])


if __name__ == "__main__":
    main()
