"""`lapidary inspect`: every tensor, its bytes and its kernel."""

import math
import unittest

from support import TINY, CliTest, main


class Inspect(CliTest):
    def test_json_is_complete(self):
        report = self.ok_json("inspect", TINY)
        self.assertEqual((report["layers"], report["hidden"], report["vocab"]), (8, 256, 2048))
        self.assertEqual(report["inputs"], {"text": True, "image": True, "audio": True})
        self.assertEqual(report["source"], "hf")
        self.assertIn(16, report["stop_ids"])
        self.assertGreater(len(report["config"]), 5)
        self.assertGreater(len(report["chat_template"]), 100)
        self.assertEqual(report["text_problem"], "")
        names = [t["name"] for t in report["tensors"]]
        self.assertEqual(len(names), len(set(names)))
        for tensor in report["tensors"]:
            self.assertNotEqual(tensor["kernel"], "", tensor["name"])
            if tensor["type"].lower() == "bf16":
                self.assertEqual(tensor["bytes"], 2 * math.prod(tensor["shape"]), tensor["name"])

    def test_page_groups_layers(self):
        page, full = self.ok("inspect", TINY), self.ok("inspect", TINY, "--tensors")
        self.assertLess(page.count("\n"), full.count("\n"))
        self.assertIn("layers.*.", page)
        self.assertIn("layers.3.", full)

    def test_template_and_metadata(self):
        self.assertIn("<|turn>", self.ok("inspect", TINY, "--template"))
        self.ok("inspect", TINY, "--metadata")


if __name__ == "__main__":
    main()
