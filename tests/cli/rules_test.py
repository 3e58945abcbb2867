"""The rule checker finds what it is there to find."""

import sys
import unittest

from support import ROOT, main

sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True
import check_layers  # noqa: E402  (the path above is what makes it importable)


class Rules(unittest.TestCase):
    def found(self, name, text):
        return list(check_layers.include_violations(name, text)) + list(check_layers.text_violations(name, text))

    def test_upward_includes(self):
        for name, line in {"kernels/a.cpp": '#include "runtime/tensor.h"', "runtime/a.cpp": '#include "model/config.h"',
                           "model/text/a.cpp": '#include "model/config.h"', "model/load/a.h": '#include "model/forward.h"',
                           "model/a.cpp ": '#include "model/tools/score.h"', "model/a.h": '#include "model/packing/quantize.h"',
                           "runtime/memory/a.cpp": '#include "runtime/file/gguf.h"', "runtime/a.h": '#include "runtime/cpu/race.h"',
                           "runtime/file/a.h": '#include "runtime/cpu/race.h"', "runtime/trace/a.h": '#include "runtime/cpu/thread_pool.h"',
                           "model/engine.cpp": '#include "runtime/cpu/cpu_device.h"',
                           "model/forward.cpp": '#include "runtime/memory/host_access.h"',
                           "model/synth/a.cpp": '#include "model/engine_state.h"',
                           "model/tools/a.cpp": '#include "model/packing/pack_plan.h"', "apps/cli/a.cpp": '#include "model/step.h"',
                           "model/a.cpp": "#include <thread>", "apps/a.cpp": "#include <immintrin.h>",
                           "kernels/a.cpp ": "#include <thread>", "base/a.h": '#include "runtime/tensor.h"', "kernels/simd/a.inl": "#include <vector>",
                           "include/lapidary/a.h": '#include "runtime/tensor.h"'}.items():
            with self.subTest(name=name, line=line):
                self.assertEqual(len(self.found(name.strip(), line + "\n")), 1)

    def test_allowed_includes(self):
        for name, line in {"kernels/a.cpp": "#include <immintrin.h>", "runtime/a.cpp": '#include "kernels/kernels.h"',
                           "model/a.cpp": '#include "model/text/white_space.h"', "model/a.h": '#include "model/weights.h"',
                           "model/load/a.cpp": '#include "model/weights.h"', "model/tools/b/a.cpp": '#include "model/tools/a.h"',
                           "runtime/cpu/a.cpp": '#include "runtime/memory/host_access.h"', "runtime/cpu/b.cpp": '#include "runtime/trace/recorder.h"',
                           "model/load/a.h": '#include "runtime/memory/host_access.h"',
                           "model/packing/a.cpp": '#include "model/tools/layerwise.h"',
                           "apps/a.cpp ": '#include "base/try.h"', "apps/a.cpp": '#include "lapidary/tools.h"',
                           "kernels/simd/a.inl": "#include <xsimd/xsimd.hpp>"}.items():
            with self.subTest(name=name, line=line):
                self.assertEqual(self.found(name, line + "\n"), [])

    def test_length_and_words(self):
        self.assertEqual(len(self.found("apps/a.cpp", "\n" * 601)), 1)
        self.assertEqual(self.found("apps/a.cpp", "\n" * 599), [])
        self.assertEqual(len(self.found("docs/a.md", "see /wo" + "rk/main\n")), 1)
        self.assertEqual(len(self.found("apps/a.cpp", "// TO" + "DO: later\n")), 1)

    def test_lines_in_all(self):
        lengths = {"model/load/bind.cpp": 300, "model/load/bind.h": 40, "model/layer.cpp": 90, "bench/support.h": 5}
        self.assertEqual(check_layers.lines_of_rooms(lengths), {"model/load": 340, "model": 90, "bench": 5})
        self.assertEqual(list(check_layers.budget_violations(lengths)), [])
        self.assertEqual(list(check_layers.budget_violations({"a.cpp": check_layers.MAX_LINES_IN_ALL - 1, "b.h": 1})), [])
        self.assertEqual(len(list(check_layers.budget_violations({"a.cpp": check_layers.MAX_LINES_IN_ALL - 1, "b.h": 2}))), 1)
        for name, counted in {"kernels/kernels.inc": True, "tests/model/step_test.cpp": False, "scripts/a.py": False}.items():
            self.assertEqual(check_layers.is_counted(name), counted, name)


if __name__ == "__main__":
    main()
