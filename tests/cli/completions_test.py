"""The manual page and the completions: made of the tables of --help, and read by the programs that they are for."""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

from invented_stores import Ollama, environment_of
from support import PROGRAM, CliTest, clean_environment, main

EXPECTED = "LAPIDARY_EXPECT_TOOLS" in os.environ  # then what is missing is a failure
VERBS = ["run", "logits", "tokenize", "inspect", "list", "bench", "perplexity", "kld", "pack", "synth", "doctor", "completions", "man"]


def options_of(page):
    return set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", page, re.MULTILINE))


class Completions(CliTest):
    def setUp(self):
        super().setUp()
        self.env = clean_environment()

    def script(self, shell):
        return self.file("completion." + shell, self.ok("completions", shell))

    def shell(self, program, *args):
        if shutil.which(program) is None and not EXPECTED:
            self.skipTest(f"{program} is not installed")
        done = subprocess.run([program, *args], capture_output=True, text=True, env=self.env, timeout=60,
                              cwd=self.folder, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def bash(self, line):
        """What bash offers when TAB is hit at the end of the line."""
        words = line.split(" ")
        array = " ".join(f"'{word}'" for word in words)
        return set(self.shell("bash", "--norc", "-c", f"""
            compopt() {{ :; }}  # exists only while a line is edited
            source {self.script("bash")}
            COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}
            _lapidary
            [ ${{#COMPREPLY[@]}} -eq 0 ] || printf '%s\\n' "${{COMPREPLY[@]}}" """).split())

    def test_bash(self):
        self.file("model.gguf", "")
        self.assertLessEqual(set(VERBS), self.bash("lapidary "))
        self.assertEqual(self.bash("lapidary pe"), {"perplexity"})
        self.assertEqual(self.bash("lapidary run --kv "), {"f32", "f16", "q8_0"})
        self.assertEqual(self.bash("lapidary run --kv = q"), {"q8_0"})
        self.assertEqual(self.bash("lapidary run --image mo"), {"model.gguf"})
        self.assertEqual(self.bash("lapidary inspect --mmproj mo"), {"model.gguf"})
        self.assertEqual(self.bash("lapidary run mo"), {"model.gguf"})
        self.assertEqual(self.bash("lapidary run --temp "), set())
        self.assertEqual(self.bash("lapidary run --think "), {"on", "off"})
        self.assertEqual(self.bash("lapidary pack --type q8"), {"q8_0"})
        self.assertEqual(self.bash("lapidary man "), options_of(self.ok("man", "--help")) | {"-h", "-q"})
        self.assertEqual(self.bash("lapidary help b"), {"bench"})
        self.assertEqual(self.bash("lapidary completions z"), {"zsh"})
        self.assertEqual(self.bash("lapidary completions f"), {"fish"})
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.assertEqual({name for name in self.bash(f"lapidary {verb} --") if name.startswith("--")},
                                 options_of(self.ok(verb, "--help")))

    def names(self):
        """An environment with one model of Ollama, and the program in the path."""
        ollama = Ollama(self.folder / "home")
        ollama.manifest("registry.ollama.ai/library/gemma4/12b", ollama.layer("model", b"GGUF"))
        path = os.pathsep.join((os.path.dirname(PROGRAM), os.environ.get("PATH", "")))
        return environment_of(self.folder / "home", PATH=path)

    def test_names_that_other_programs_gave(self):
        self.env = self.names()
        self.assertIn("ollama:gemma4:12b", self.bash("lapidary run "))
        # bash cuts words at colons, and replaces what is behind the last one
        self.assertIn("gemma4:12b", self.bash("lapidary run ollama : gem"))
        self.assertIn("12b", self.bash("lapidary inspect ollama : gemma4 : 1"))
        self.assertIn("12b", self.bash("lapidary run ollama : gemma4 :"))
        self.assertNotIn("ollama:gemma4:12b", self.bash("lapidary synth ") | self.bash("lapidary run --image "))
        script = self.script("fish")
        self.assertIn("ollama:gemma4:12b", self.shell("fish", "--no-config", "-c", f"source {script}; complete -C 'lapidary run oll'"))
        script = self.script("zsh")
        self.assertIn("ollama:gemma4:12b", self.shell("zsh", "-f", "-c", f"""
            compdef() {{ :; }}
            compadd() {{ print -rl -- "$@"; }}
            _files() {{ :; }}
            source {script}
            service=lapidary _lapidary_models"""))

    def test_fish(self):
        script = self.script("fish")
        def offered(line):
            text = self.shell("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'")
            return {entry.split("\t")[0] for entry in text.splitlines()}
        self.assertLessEqual(set(VERBS), offered("lapidary "))
        self.assertEqual(offered("lapidary run --kv "), {"f32", "f16", "q8_0"})
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.assertEqual(offered(f"lapidary {verb} --"), options_of(self.ok(verb, "--help")))

    def test_zsh(self):
        """zsh completes only in its line editor: the script is loaded, and the calls it makes are recorded."""
        script = self.script("zsh")
        def calls(*words):
            array = " ".join(f"'{word}'" for word in words)
            return self.shell("zsh", "-f", "-c", f"""
                compdef() {{ :; }}
                _describe() {{ print -r -- "$1"; print -rl -- ${{(P)2}}; }}
                _arguments() {{ print -rl -- "$@"; }}
                _values() {{ print -rl -- "$@"; }}
                source {script}
                words=({array}); CURRENT={len(words)}
                _lapidary""")
        self.assertLessEqual(set(VERBS), {line.split(":")[0] for line in calls("lapidary", "").splitlines()})
        for verb in VERBS:
            with self.subTest(verb=verb):
                given = calls("lapidary", verb, "")
                self.assertEqual(set(re.findall(r"^(?:\(.*?\)|\*)?(--[\w-]+)=?\[", given, re.MULTILINE)),
                                 options_of(self.ok(verb, "--help")))
        self.assertIn("--kv=[", calls("lapidary", "run", ""), "both --kv=f16 and --kv f16")
        self.assertIn("(f32 f16 q8_0)", calls("lapidary", "run", ""))
        self.assertIn("_files", calls("lapidary", "run", ""))
        self.assertNotIn("_files", calls("lapidary", "man", ""))
        self.assertIn("bash zsh fish", calls("lapidary", "completions", ""))

    def test_as_json(self):
        self.assertEqual(self.ok_json("completions", "bash")["text"], self.ok("completions", "bash"))
        self.assertEqual(self.ok_json("man")["text"], self.ok("man"))

    def test_usage(self):
        self.fails(2, "completions", says="bash|zsh|fish")
        self.fails(2, "completions", "csh", says="bash|zsh|fish")
        self.fails(2, "man", "run", says="unexpected")


class Manual(CliTest):
    def test_every_verb_and_option(self):
        plain = self.ok("man").replace("\\-", "-")
        for verb in VERBS:
            section = plain.split(f".SS lapidary {verb}\n")[1].split("\n.S")[0]
            for option in options_of(self.ok(verb, "--help")):
                self.assertIn(f"\\fB{option}\\fR", section, verb)

    def test_readers_find_no_fault(self):
        page = self.file("lapidary.1", self.ok("man"))
        readers = [command for command in (["mandoc", "-T", "lint", "-W", "warning"],
                                           ["groff", "-man", "-Tutf8", "-ww", "-z"])
                   if EXPECTED or shutil.which(command[0])]
        if not readers:
            self.skipTest("neither mandoc nor groff is installed")
        for command in readers:
            done = subprocess.run([*command, page], capture_output=True, text=True, check=False)
            # A page that the build makes has no date of its own.
            faults = [line for line in (done.stdout + done.stderr).splitlines() if "date" not in line]
            self.assertEqual(faults, [])

    def test_the_build_made_the_same(self):
        built = pathlib.Path(PROGRAM).parents[1] / "apps" / "pages"
        if not built.is_dir():
            self.skipTest("not a build tree")
        self.assertEqual((built / "lapidary.1").read_text(), self.ok("man"))
        self.assertEqual((built / "_lapidary").read_text(), self.ok("completions", "zsh"))


if __name__ == "__main__":
    main()
