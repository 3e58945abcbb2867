"""`lapidary doctor`: what is built, supported and selected, and how LAPIDARY_CPU lowers it."""

import unittest

from support import TINY, CliTest, clean_environment, main


class Doctor(CliTest):
    def test_json(self):
        report = self.ok_json("doctor")
        self.assertEqual(set(report), {"version", "cpu", "cores", "threads", "isa", "memory", "power", "gpu", "gpus",
                                       "kernels", "race", "advice"})
        self.assertEqual(len([level for level in report["isa"] if level["selected"]]), 1)
        for level in report["isa"]:
            self.assertEqual(level["int8_instruction"] is not None, level["built"] and level["supported"], level)
            if level["selected"]:
                self.assertTrue(level["built"] and level["supported"], level)
        self.assertGreater(report["memory"]["total_bytes"], report["memory"]["free_bytes"])
        self.assertEqual(set(report["memory"]), {"total_bytes", "free_bytes", "limit_bytes", "limit_left_bytes", "limit_from",
                                                 "swap_free_bytes"})
        self.assertEqual(set(report["power"]), {"state", "on_battery", "profile"})
        self.assertGreater(len(report["kernels"]), 0)
        for runner in report["race"]:
            self.assertEqual(set(runner), {"format", "columns", "isa", "gmacs", "won"})
        self.assertGreater(report["cores"], 0)

    def test_limits_and_power(self):
        report = self.ok_json("doctor")
        memory, power, page = report["memory"], report["power"], self.ok("doctor")
        limited = memory["limit_bytes"] > 0
        self.assertEqual(memory["limit_from"] is not None, limited)
        self.assertEqual(memory["limit_left_bytes"] is not None, limited)
        self.assertEqual("this process may use" in page, limited)
        if limited:
            self.assertIn(f"left below the limit of {memory['limit_from']}\n", page)
        source = "battery" if power["on_battery"] else "mains"
        self.assertEqual(power["state"], f"{source}, {power['profile']}" if power["profile"] else source)
        self.assertIn(f"power    {power['state']}\n", page)

    def test_gpus(self):
        report = self.ok_json("doctor")
        page = self.ok("doctor")
        self.assertIn(f"gpu      {report['gpu']}\n", page)
        for gpu in report["gpus"]:
            self.assertEqual(set(gpu), {"index", "name", "type", "driver", "api", "usable", "reasons", "software", "unified",
                                        "heaps", "features", "matrices", "limits", "verdicts"})
            self.assertEqual(set(gpu["verdicts"]), {"file", "passed", "failed", "untested", "winners"})
            self.assertEqual(gpu["usable"], not gpu["reasons"])
            self.assertIn(gpu["name"], page)
            for reason in gpu["reasons"]:
                self.assertIn(f"not used: {reason}", page)

    def test_machines_without_drivers_or_loader_say_so(self):
        if self.ok_json("doctor")["gpu"] == "none: this build has no Vulkan":
            self.skipTest("a build without Vulkan")
        no_driver = {"VK_ICD_FILENAMES": "/nothing.json", "VK_DRIVER_FILES": "/nothing.json"}  # it looks nowhere else then
        for name in ("libvulkan.so.1", "libvulkan.so"):
            self.file(name, "")  # found first, and none
        for env, says in ((no_driver, "the Vulkan loader is here, and no driver of a GPU"),
                          ({"LD_LIBRARY_PATH": str(self.folder)}, "there is no Vulkan loader on this machine")):
            with self.subTest(says=says):
                report = self.ok_json("doctor", env=clean_environment(**env))
                self.assertEqual(report["gpus"], [])
                self.assertIn("none: " + says, report["gpu"])
                self.fails(5, "run", TINY, "hi", "--placement", "gpu", env=clean_environment(**env), says=says)
                self.ok("run", TINY, "hi", "-n", "1", env=clean_environment(**env))

    def test_isa_can_be_lowered(self):
        report = self.ok_json("doctor", env=clean_environment(LAPIDARY_CPU="ref"))
        self.assertEqual([level["name"] for level in report["isa"] if level["selected"]], ["ref"])

    def test_page(self):
        page = self.ok("doctor")
        self.assertIn("selected", page)
        self.assertGreater(self.ok("doctor", "--kernels").count("\n"), page.count("\n"))


if __name__ == "__main__":
    main()
