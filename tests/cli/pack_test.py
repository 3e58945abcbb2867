"""`lapidary pack`: files that every verb opens and that say the same as their source; whole or absent, also when the
program is killed; checksums; quantising on the way."""

import os
import signal
import subprocess
import time
import unittest

from support import PROGRAM, TINY, CliTest, clean_environment, lapidary, main


class Pack(CliTest):
    def packed(self, *options, model=TINY, name="a.lapidary"):
        path = self.folder / name
        return path, self.ok_json("pack", model, path, *options)

    def test_every_verb_opens_it(self):
        path, report = self.packed()
        self.assertEqual(report["bytes"], path.stat().st_size)
        self.assertIsNone(report["kld"])
        self.assertTrue(all(t["from"] == t["to"] and t["rmse"] == 0 for t in report["tensors"]))
        self.assertIn("panels", {t["layout"] for t in report["tensors"]})
        picture = TINY / "samples" / "image_2.png"
        ask = ("-p", "What do you see?", "--image", picture, "--temp", "0")
        self.assertEqual(self.ok("run", path, *ask), self.ok("run", TINY, *ask))
        self.assertEqual(self.ok("tokenize", path, "Who are you?"), self.ok("tokenize", TINY, "Who are you?"))
        for options in ((), ("--precise",)):
            for model, out in ((path, "packed"), (TINY, "source")):
                self.ok("logits", model, "--tokens", "2,3,4", "--all", "--out", self.folder / out, "--force", *options)
            self.assertEqual((self.folder / "packed").read_bytes(), (self.folder / "source").read_bytes())
        bench = self.ok("bench", path, "-p", "8", "-n", "2", "-r", "1", "--json")
        self.assertEqual(len(bench.splitlines()), 2)
        report = self.ok_json("inspect", path, "--verify")
        self.assertEqual(report["source"], "lapidary")
        self.assertGreater(report["verified_bytes"], 10_000_000)
        self.assertIn("model.safetensors", report["metadata"]["packed from"])
        self.assertIn("checksums: right", self.ok("inspect", path, "--verify"))

    def test_quantised(self):
        text = self.file("text.txt", "What do you see? A pink square and a yellow triangle. " * 8)
        path, report = self.packed("--type", "q8_0", "--kld", text, "--ctx", "64")
        quantised = [t for t in report["tensors"] if t["from"] != t["to"]]
        self.assertTrue(quantised)
        for tensor in quantised:
            self.assertEqual((tensor["from"], tensor["to"]), ("bf16", "q8_0"))
            self.assertTrue(0 < tensor["relative_error"] < 0.02, tensor)
            self.assertLess(tensor["rmse"], tensor["max_error"])
        self.assertEqual(report["kld"]["tokens"], 64)
        self.assertTrue(0 < report["kld"]["kl_mean"] < 0.1, report["kld"])
        self.assertLessEqual(report["kld"]["kl_mean"], report["kld"]["kl_max"])
        done = lapidary("pack", path, self.folder / "b.lapidary", "--type", "q4_0")
        self.assertIn("q8_0 > q4_0", done.stderr.decode())
        self.assertIn("error / rms", done.stderr.decode())
        self.assertEqual(done.stdout.count(b"\n"), 1)
        self.assertEqual(self.ok_json("inspect", self.folder / "b.lapidary")["type"], "q4_0")

    def test_the_text_of_a_comparison(self):
        text = "What do you see? " * 8
        report = [self.packed("--type", "q8_0", "--kld", self.file("t.txt", mark + text), name=f"{len(mark)}.lapidary")[1]
                  for mark in ("", "\ufeff")]
        self.assertEqual(*[r["kld"]["tokens"] for r in report])
        wide = self.file("wide.txt", text.encode("utf-16-le"))
        self.fails(2, "pack", TINY, self.folder / "c.lapidary", "--kld", wide, says="UTF-16")
        self.assertFalse((self.folder / "c.lapidary").exists())

    def test_quantising_twice_is_said(self):
        path, _ = self.packed("--type", "q8_0")
        done = subprocess.run([PROGRAM, "pack", path, self.folder / "b.lapidary", "--type", "q4_0"],
                              capture_output=True, check=True, env=clean_environment())
        self.assertIn(b"were quantised before (q8_0)", done.stderr)

    def test_a_packed_model_is_not_lost(self):
        path, _ = self.packed()
        before = path.read_bytes()
        self.fails(2, "pack", TINY, path, "--type", "q8_0", says=["exists", "--force"])
        self.assertEqual(path.read_bytes(), before)
        self.ok("pack", TINY, path, "--type", "q8_0", "--force")
        self.assertNotEqual(path.read_bytes(), before)

    def test_a_forgotten_out_is_not_the_model(self):
        path, _ = self.packed()
        before = path.read_bytes()
        env = clean_environment(LAPIDARY_MODEL=str(TINY))
        for args in ([path, "--type", "q4_0", "--force"], [path], [TINY], [self.folder / "absent.gguf"]):
            with self.subTest(args=args):
                self.fails(2, "pack", *args, env=env, says="OUT is missing")
        self.assertEqual(path.read_bytes(), before)
        self.assertEqual(os.listdir(self.folder), [path.name])
        self.ok("pack", self.folder / "b.lapidary", env=env)  # one argument alone is OUT
        self.ok("pack", "-m", TINY, path, "--force")
        self.fails(2, "pack", TINY, "-", says="standard output")

    def test_usage(self):
        self.fails(2, "pack", says="OUT")
        self.fails(2, "pack", TINY, "a", "b", says="b")
        self.fails(2, "pack", TINY, self.folder / "a", "--type", "q99", says="q99")
        self.fails(2, "pack", TINY, TINY / "model.safetensors", says="itself")
        other = self.file("other.txt", "mine")
        self.fails(2, "pack", TINY, other, says="not a .lapidary file")
        self.assertEqual(other.read_text(), "mine")
        self.fails(3, "pack", self.folder / "absent.gguf", self.folder / "a.lapidary", says="absent.gguf")
        self.fails(1, "pack", TINY, self.folder / "a.lapidary", "--kld", self.folder / "absent.txt", says="absent.txt")
        self.fails(1, "pack", TINY, self.folder / "no" / "a.lapidary")
        self.fails(2, "inspect", TINY, "--verify", says="checksums")
        self.assertEqual(os.listdir(self.folder), ["other.txt"])

    def test_damaged_and_stale(self):
        path, report = self.packed()
        data = path.read_bytes()
        last = report["tensors"][-1]
        bad = self.file("bad.lapidary", data[:-1] + bytes([data[-1] ^ 1]))
        self.assertEqual(self.ok_json("inspect", bad)["source"], "lapidary")  # the start reads no tensors
        error = self.fails(3, "inspect", bad, "--verify", says=last["name"])
        self.assertIn("checksum", error["message"])
        self.fails(3, "run", self.file("cut.lapidary", data[:-100]), "-p", "x", says="cut.lapidary")
        self.fails(3, "run", self.file("new.lapidary", data[:8] + b"\x02" + data[9:]), "-p", "x", says="stale")
        self.fails(3, "run", self.file("head.lapidary", data[:60] + b"\xff" + data[61:]), "-p", "x", says="damaged")
        self.fails(3, "run", self.file("none.lapidary", b"hello"), "-p", "x", says="not a .lapidary file")

    def test_killed_half_way(self):
        model = self.folder / "model.gguf"
        self.ok("synth", model, "--preset", "tiny", "--layers", "300", "--type", "bf16")  # a second or more to pack
        out = self.folder / "out"
        out.mkdir()
        child = subprocess.Popen([PROGRAM, "pack", model, out / "a.lapidary", "--type", "q4_k"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())
        deadline = time.monotonic() + 60
        while not any(f.stat().st_size > 1 << 20 for f in out.iterdir()):
            self.assertLess(time.monotonic(), deadline, "nothing was written")
            self.assertIsNone(child.poll(), "packed before it could be killed")
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        self.assertEqual(child.wait(), -signal.SIGKILL)
        self.assertFalse((out / "a.lapidary").exists())
        for rest in out.iterdir():
            self.fails(3, "inspect", rest, says=rest.name)


if __name__ == "__main__":
    main()
