"""Messages of the library name its fields, the program's the options that stand for them."""

import re
import unittest

from support import ROOT, TINY, CliTest, main

FIELD = re.compile(r"\b(?:\w+Options|Excerpt)::\w+")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def strings(room):
    for path in sorted(p for p in (ROOT / room).rglob("*") if p.suffix in (".cpp", ".h")):
        for line in path.read_text().splitlines():
            if not line.lstrip().startswith(("//", "#include")):
                yield from ((path, text) for text in STRING.findall(line))


class FieldNames(CliTest):
    def test_every_field_that_a_message_names_has_an_option(self):
        known = set(FIELD.findall((ROOT / "apps/common/field_names.cpp").read_text()))
        named = {field for room in ("model", "runtime") for _, text in strings(room) for field in FIELD.findall(text)}
        self.assertEqual(named - known, set())
        self.assertEqual(known - named, set())  # the table has no dead lines
        header = (ROOT / "include/lapidary/lapidary.h").read_text() + (ROOT / "include/lapidary/tools.h").read_text()
        for field in named:
            struct, member = field.split("::")
            body = re.search(r"struct " + struct + r" \{(.*?)\n\};", header, re.DOTALL)[1]
            self.assertRegex(body, r"\b" + member + r"\b", field)

    def test_the_program_speaks_of_its_own_options(self):
        text = self.file("text.txt", "Who are you? " * 50)
        for code, *arguments in ((2, "run", TINY, "-p", "x", "--ctx", "5000"),
                                 (1, "run", TINY, "-p", "Who are you?", "--ctx", "3"),
                                 (2, "perplexity", TINY, text, "--ctx", "100000")):
            with self.subTest(arguments=arguments):
                error = self.fails(code, *arguments)
                self.assertIn("--ctx", error["hint"])
                self.assertNotRegex(error["message"] + error["hint"], FIELD)


if __name__ == "__main__":
    main()
