"""A plain x86-64 machine, without AVX: the program must start there and compute at level ref. Emulated by QEMU's
user mode (Debian: qemu-user-static); skipped, and said so, on other machines and without the emulator."""

import platform
import shutil
import subprocess
import unittest

from support import PROGRAM, TIMEOUT_S, TINY, CliTest, clean_environment, main

QEMU = shutil.which("qemu-x86_64-static")


@unittest.skipUnless(platform.machine() in ("x86_64", "AMD64"), "no x86-64 program here")
@unittest.skipUnless(QEMU, "qemu-x86_64-static is not installed")
class PlainX86(CliTest):
    def emulated(self, *args, **environment):
        return subprocess.run([QEMU, "-cpu", "qemu64", PROGRAM, *map(str, args)], env=clean_environment(**environment),
                              capture_output=True, timeout=TIMEOUT_S)

    def test_doctor_selects_ref(self):
        done = self.emulated("doctor")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        lines = [line.split() for line in done.stdout.decode().splitlines()]
        levels = {line[0]: line[1:4] for line in lines if line and line[0] in ("ref", "avx2", "avxvnni", "avx512")}
        self.assertEqual(levels, {"ref": ["yes", "yes", "yes"], "avx2": ["yes", "no", "no"],
                                  "avxvnni": ["yes", "no", "no"], "avx512": ["yes", "no", "no"]})

    def test_answers_as_ref_does_on_this_machine(self):
        ask = ["run", TINY, "-p", "Who are you?", "--temp", "0", "-n", "4"]
        done = self.emulated(*ask)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(done.stdout.decode(), self.ok(*ask, env=clean_environment(LAPIDARY_CPU="ref")))
        self.assertGreater(len(done.stdout), 1)

    def test_a_level_of_another_machine_is_a_usage_error(self):
        for level in ("avx2", "avxvnni", "avx512"):
            with self.subTest(level=level):
                done = self.emulated("run", TINY, "-p", "Hello", LAPIDARY_CPU=level)
                self.assertEqual(done.returncode, 2, done.stderr.decode())
                self.assertIn(f'"{level}" cannot run on this CPU; levels that work here: ref', done.stderr.decode())


if __name__ == "__main__":
    main()
