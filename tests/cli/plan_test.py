"""`lapidary plan`: memory and placement without loading, in words and in the contract's JSON; exit 4 where a model does not fit."""

import json
import unittest

from support import TINY, CliTest, clean_environment, lapidary, main

TWELVE = ["plan", "--synthetic", "12b"]


class Plan(CliTest):
    def setUp(self):
        super().setUp()
        self.env = clean_environment(XDG_CACHE_HOME=str(self.folder))

    def lines(self, *args, code=0):
        done = lapidary(*args, "--json", env=self.env)
        self.assertEqual(done.returncode, code, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_the_contract_s_keys(self):
        [plan] = self.lines("plan", TINY)
        for key in ("fits", "budget_bytes", "total_bytes", "regions", "layers", "expected", "why"):
            self.assertIn(key, plan)
        self.assertTrue(plan["fits"])
        self.assertEqual(sum(region["bytes"] for region in plan["regions"]), plan["total_bytes"])
        self.assertEqual(plan["layers"], [{"first": 0, "last": 7, "device": 0}])
        self.assertEqual(plan["expected"], {"prefill_tps": None, "decode_tps": None, "full_decode_tps": None})  # nothing was measured
        self.assertLessEqual({region["where"] for region in plan["regions"]}, {"cpu", "gpu", "shared"})
        page = self.ok("plan", TINY, env=self.env)
        for word in ("region", "KV cache", "total", "placement all on the CPU", "lapidary tune"):
            self.assertIn(word, page)

    def test_several_contexts(self):
        plans = self.lines(*TWELVE, "--ctx", "8k,32k,262144", "--machine", "780m-32g")
        self.assertEqual([plan["context"] for plan in plans], [8192, 32768, 262144])
        self.assertEqual(sorted(plan["total_bytes"] for plan in plans), [plan["total_bytes"] for plan in plans])
        self.assertEqual(len(self.ok(*TWELVE, "--ctx", "8k,32k", "--machine", "780m-32g").splitlines()), 3)
        self.fails(2, *TWELVE, "--ctx", "8k,much", says="much")
        self.fails(2, *TWELVE, "--ctx", "", says="--ctx")

    def test_machines(self):
        names = [line.split()[0] for line in self.ok("plan", "--machine", "list").splitlines()]
        self.assertGreaterEqual(len(names), 12)
        table = self.ok(*TWELVE, "--machine", "all")
        for name in names:
            self.assertIn(name, table)
        self.fails(2, *TWELVE, "--machine", "pdp-11", says=["pdp-11", "780m-16g"])
        # Of rows prompts and replies have a share each, in words and in numbers.
        [plan] = self.lines(*TWELVE, "--machine", "irisxe-16g")
        shares = plan["placement"]["shares"]
        self.assertNotEqual(shares["prefill"], shares["decode"])
        self.assertIn(f"{100 * shares['prefill']:.0f} % of the rows on the GPU for prompts and {100 * shares['decode']:.0f} % for replies",
                      plan["placement"]["text"])
        self.assertNotIn("shares", plan["options"][0])

    def test_what_does_not_fit(self):
        [plan] = self.lines(*TWELVE, "--machine", "zen4-cpu-16g", "--memory", "6G", code=4)
        self.assertFalse(plan["fits"])
        self.assertEqual(plan["budget_bytes"], 6 << 30)
        self.assertTrue(plan["remedies"])
        self.assertGreater(min(remedy["saves_bytes"] for remedy in plan["remedies"]), 0)
        # 12 GiB of files at 8 bits: 4 bits would do.
        [plan] = self.lines(*TWELVE, "--type", "q8_0", "--machine", "zen4-cpu-16g", "--memory", "9G", code=4)
        self.assertTrue(any("q4_0" in remedy["text"] and remedy["enough"] for remedy in plan["remedies"]))
        for size, bytes in (("7.5G", 15 << 29), ("8000M", 8000 << 20), ("9GiB", 9 << 30), ("8000000000", 8000000000)):
            [plan] = self.lines(*TWELVE, "--machine", "zen4-cpu-16g", "--memory", size)
            self.assertEqual(plan["budget_bytes"], bytes)
        for size in ("many", "", "-1G", "0", "nan", "1e99T"):
            self.fails(2, *TWELVE, "--memory", size, says="--memory")

    def test_verbs_refuse_before_loading(self):
        error = self.fails(4, "run", TINY, "hi", "--memory", "20M", says=["tiny needs", "20.0 MiB"])
        self.assertEqual(error["code"], "does_not_fit")
        self.assertIn("--memory", error["hint"])
        self.fails(4, "bench", "--synthetic", "12b", "-p", "8", "-n", "0", "--memory", "3G", says="may be used")

    def test_usage(self):
        self.fails(2, "plan", TINY, "--synthetic", "12b", says="--synthetic excludes a model")
        self.fails(2, "plan", TINY, "--gpu-layers", "2", "--split", "0.5", says=["--gpu-layers", "--split"])
        self.fails(2, "plan", TINY, "--split", "1.5", says="--split")
        self.fails(3, "plan", self.folder / "nothing.gguf")
        self.fails(5, "plan", TINY, "--placement", "gpu", "--device", "no such device", says="no such device")


if __name__ == "__main__":
    main()
