"""`lapidary chat`: through a pipe, and at a terminal as somebody types, edits, interrupts, completes and resizes."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from screen import Screen
from support import PROGRAM, SAMPLES, TINY, CliTest, clean_environment, lapidary, main

PROMPT = re.compile(r"^\d+ %( \+\d+)? >$")
LEFT, RIGHT, UP, DOWN, HOME, END, DELETE = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B", "\x1b[H", "\x1b[F", "\x1b[3~"
PASTE, PASTED = "\x1b[200~", "\x1b[201~"
EMMA = "Your name is Emma."


def ctrl(letter):
    return chr(ord(letter) - 64)


class Typist:
    """Somebody at a terminal. Waits for what the program shows before going on."""

    def __init__(self, test, *args, columns=80, **env):
        self.test, self.screen, self.shown = test, Screen(columns), b""
        self.ours, line = pty.openpty()
        self.size(columns)
        self.usual = termios.tcgetattr(line)
        environment = clean_environment(TERM="xterm", XDG_STATE_HOME=str(test.folder / "state"), HOME=str(test.folder))
        environment.pop("NO_COLOR", None)
        environment.update(env)
        # A session of its own, whose terminal this is: so that keys raise signals.
        self.child = subprocess.Popen([PROGRAM, "chat", *map(str, args)], stdin=line, stdout=line, stderr=line, env=environment,
                                      cwd=test.folder, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.line = line
        test.addCleanup(self.close)

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.ours)
        os.close(self.line)

    def size(self, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def resize(self, columns):
        """The terminal draws what it shows anew, as those do that never wrap anew: the rows stay."""
        self.screen.columns = columns
        self.size(columns)

    def read(self, seconds=0.05):
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        with contextlib.suppress(OSError):
            data = os.read(self.ours, 65536)
            self.shown += data
            self.screen.feed(data)
        return True

    def until(self, condition, what, seconds=15):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.test.fail(f"no {what} on the screen:\n{self.screen.text()}")
            self.read()

    def prompt(self):
        self.until(lambda: PROMPT.match(self.screen.last()), "prompt")

    def shows(self, text):
        self.until(lambda: text in self.screen.text(), repr(text))

    def type(self, keys):
        os.write(self.ours, keys.encode())

    def enter(self, keys, *expected):
        """Types a line and answers what came between it and the next prompt."""
        self.prompt()
        begin = self.screen.row
        self.type(keys + "\r")
        self.until(lambda: self.screen.row > begin and PROMPT.match(self.screen.last()), "next prompt")
        said = "\n".join(self.screen.lines()[begin:self.screen.row])
        for text in expected:
            self.test.assertIn(text, said)
        return said

    def entered(self, keys):
        """What the line is when these keys were typed: the program repeats it in an error."""
        said = self.enter("/help " + keys, "takes nothing")
        return re.search(r"and '(.*)'\s+was\s+given", said.replace("\n", "")).group(1)

    def leaves(self, code, seconds=30):
        end = time.monotonic() + seconds
        while self.child.poll() is None and time.monotonic() < end:
            self.read()
        while self.read(0):
            pass
        self.test.assertIn(self.child.poll(), code if isinstance(code, tuple) else (code,), self.screen.text())
        self.test.assertEqual(termios.tcgetattr(self.line), self.usual, "the terminal is left as it was")
        self.test.assertEqual(self.screen.modes - {"25"}, set())
        self.test.assertEqual(self.screen.unknown, [])


class Pipe(CliTest):
    def chat(self, lines, *args, code=0, model=(TINY,), **options):
        done = lapidary("chat", *model, "--temp", "0", *args, stdin=lines.encode() if isinstance(lines, str) else lines, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn(b"\x1b", done.stdout + done.stderr)
        self.assertNotIn(b" > ", done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def test_lines_are_turns(self):
        answers, said = self.chat('My name is Emma.\n\n"""\nWhat is my name?\n"""\nWhat is my \\\nname?\n/undo\n/tokens\n/exit\nHi\n')
        first, second, _, tokens = answers.splitlines()
        self.assertEqual(second, EMMA)
        self.assertIn("Emma", first)
        self.assertRegex(tokens, r"^\d+ of 4096 tokens of the context$")
        self.assertEqual(said.count("first token"), 3)
        self.assertIn(" cached)", said)
        self.assertEqual(self.chat("My name is Emma.\r\nWhat is my name?", "-q"), (first + "\n" + EMMA + "\n", ""))

    def test_json_lines(self):
        out, said = self.chat("/nothing\nWhat is my name?\n/tokens\n/set\n/help\n/show\n", "--json", "-p", "My name is Emma.", code=2)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(said, "")
        self.assertEqual([list(line)[0] for line in lines], ["text", "error", "text", "context", "settings", "commands", "show"])
        self.assertEqual(lines[2]["text"], EMMA)
        self.assertGreater(lines[2]["usage"]["cached"], 5)
        self.assertEqual(set(lines[2]), {"text", "thinking", "tool_calls", "broken_calls", "finish", "tokens", "seed", "usage", "timings"})
        self.assertEqual(lines[3]["context"], {"used": lines[2]["usage"]["prompt"] + lines[2]["usage"]["generated"], "size": 4096})
        self.assertEqual(lines[4]["settings"]["temp"], 0)
        self.assertIn("/image", lines[5]["commands"])
        self.assertEqual(lines[6]["show"]["messages"], 4)

    def test_errors_do_not_end_it(self):
        note = self.file("note.txt", "My name is Emma.")
        picture = SAMPLES / "image_2.png"
        out, said = self.chat(f"/foo\n/imag x\n/image nowhere.png\n/audio {note}\n/read {picture}\n/image\n/undo\n/regen\n/set tem 1\n/set temp x\n"
                              f"/set top-p 2\n/think maybe\n/save /nowhere/x\n/load nowhere\n/load {note}\n/save {note}\n/help me\n\xff"
                              f"\n/image {picture}\nWhat do you see?\n/clear\n/read '{note}'\nWhat is my name?\n".encode("latin-1"), code=2)
        self.assertEqual(out.splitlines()[0], "A pink square and a yellow triangle.")
        self.assertIn("Emma", out.splitlines()[1])
        problems = [line for line in said.splitlines() if line.startswith("lapidary: ")]
        for problem, expected in zip(problems, (
                "there is no command /foo", "did you mean /image?", "nowhere.png", "note.txt", "not text", "/image needs the name of a file",
                "nothing to undo", "nothing to answer anew", "did you mean temp?", "temp", "top-p", "/think is 'maybe'", "/nowhere/x",
                "nowhere", "note.txt", "exists and is not a saved chat", "/help takes nothing", "UTF-8"), strict=True):
            self.assertIn(expected, problem)
        self.assertEqual(note.read_text(), "My name is Emma.")
        self.assertEqual(self.chat('"""\nHi\n', code=2)[0], "")
        self.assertEqual(self.chat("Hi \\", code=2)[0], "")

    def test_settings_and_thoughts(self):
        out, said = self.chat("/set max-tokens 3\nWho are you?\n/set max-tokens default\n/set seed 7\n/set temp 0.7\n/set\n/set temp default\n/set seed -1\n/set\n")
        self.assertIn("I am a\n", out)
        self.assertIn("  temp        0.7\n", out)
        self.assertIn("  seed        7\n", out)
        self.assertEqual(out.count("  seed        the model's own\n"), 1)
        self.assertIn("the reply was cut", said)
        answer, thought = self.chat("/think on\nWhat is 63 - 27?\n")
        self.assertIn("= 46", answer)
        self.assertIn("Borrow", thought)
        for hidden in (("/think on\n/think hide\nWhat is 63 - 27?\n",), ("What is 63 - 27?\n", "--think", "on", "--hide-thinking")):
            out, said = self.chat(*hidden)
            self.assertEqual(out, answer)
            self.assertNotIn("Borrow", said)

    def test_answers_held_to_a_schema(self):
        out, _ = self.chat("Who are you?\nHi\n", "--schema", '{"type":"object","properties":{"name":{"type":"string","maxLength":20}},"required":["name"],"additionalProperties":false}')
        self.assertEqual([list(json.loads(line)) for line in out.splitlines()], [["name"], ["name"]])
        self.fails(2, "chat", TINY, "--schema", "-", says="--schema", stdin=b"Hi\n")

    def test_usage(self):
        for args, words in ((("--tools", "f"), "run --tools"), (("--image", "nowhere.png"), "nowhere.png"), (("--load", "x", "--system", "y"), "--load excludes"),
                            (("a", "b"), "unexpected argument"), (("--frames", "3"), "--frames needs --video"), (("-p", b"\xff"), "UTF-8")):
            error = self.fails(1 if "nowhere" in words else 2, "chat", *([TINY] if args[0] != "a" else []), *args, says=words, stdin=b"Hi\n")
            self.assertNotEqual(error["hint"] + error["message"], "")
        self.fails(3, "chat", "nowhere.gguf", says="nowhere.gguf", stdin=b"Hi\n")

    def test_json_tells_what_was_done(self):
        kept, note = self.folder / "kept", self.file("note.txt", "My name is Emma.")
        out, _ = self.chat(f"/read {note}\nHi\n/save {kept}\n/undo\n/load {kept}\n/system Be brief.\n/set temp 0.5\n/think 9\n/undo\n/clear\n/set temp x\n/exit\n",
                           "--json", code=2)
        lines = [json.loads(line) for line in out.splitlines()]
        used = lines.pop(1)["usage"]
        self.assertEqual(lines[:5], [{"attached": str(note)}, {"saved": str(kept)}, {"undone": True},
                                     {"loaded": str(kept), "messages": 2, "context": used["prompt"] + used["generated"]}, {"system": "Be brief."}])
        self.assertEqual((lines[5]["settings"]["temp"], lines[6]["settings"]["think"]), (0.5, 9))
        self.assertEqual((lines[7:9], list(lines[9]), len(lines)), ([{"undone": True}, {"cleared": True}], ["error"], 10))

    def test_hints_name_what_a_chat_has(self):
        note = self.file("note.txt", "My name is Emma.")
        _, said = self.chat(f"/save -\n/save {note}\n/save {self.folder}\n", code=2)
        self.assertEqual(note.read_text(), "My name is Emma.")
        for hint, line in zip(("./- is one of that name", "give another name", "name a file in it"), said.splitlines(), strict=True):
            self.assertIn(hint, line)
        self.assertNotIn("--force", said)
        _, said = self.chat("/set max-tokens 3\nWho are you?\n" + "Who are you?\n" * 3, "-c", "48", code=1)
        self.assertIn("/set max-tokens N sets it", said)
        self.assertIn("are free (/clear or /undo make room)", said)
        self.assertNotIn("--", said)
        _, said = self.chat("Who are you?\n", "-m", self.endless_model(), "-c", "48", "-n", "-1", model=())
        self.assertIn("the context of 48 tokens is full; /clear or /undo make room", said)
        out, said = self.chat(f"Who are you?\n/read {note}\nSo what do you think that my name is?\n/undo\nWhat is my name?\n", "-c", "48", "-n", "8", code=1)
        self.assertIn("make room", said)
        self.assertIn(EMMA, out)  # the note was still attached
        kept = self.folder / "kept"
        self.chat(f"Who are you?\n/save {kept}\n")
        self.assertIn("start the chat anew: set --ctx to", self.chat(f"/load {kept}\n", "-c", "16", code=1)[1])

    def test_bytes_that_are_no_text(self):
        answers, said = self.chat(b"a\0b\nWho are you?\n", "-q", code=2)
        self.assertIn("tiny demo model", answers)
        self.assertRegex(said, r"^lapidary: .* offset 1 is NUL .*\n$")

    def test_input_that_is_none_or_has_no_end(self):
        endless, block = self.file("endless", ""), self.file("block", '"""\n')
        os.truncate(endless, 2**28 + 2)
        os.truncate(block, 2**28 + 4)
        for source, problem in ((self.folder, "cannot read standard input: Is a directory"),
                                (endless, "a message is longer than 268435456 bytes"), (block, "a message is longer than 268435456 bytes")):
            stdin = os.open(source, os.O_RDONLY)
            done = subprocess.run([PROGRAM, "chat", TINY, "-q"], stdin=stdin, capture_output=True, env=clean_environment(), timeout=120, check=False)
            os.close(stdin)
            self.assertEqual((done.returncode, done.stdout, done.stderr.decode()), (1, b"", f"lapidary: {problem}\n"))

    def test_a_pipe_that_closes_ends_it(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = lapidary("chat", TINY, "-q", stdin=b"Hi\nHi\n", stdout=writer)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


class Terminal(CliTest):
    def test_typing(self):
        who = Typist(self, TINY, "--temp", "0", "-t", "1")
        who.prompt()
        self.assertEqual(who.screen.last(), "0 % >")
        # Editing.
        self.assertEqual(who.entered("abd" + LEFT + "c"), "abcd")
        self.assertEqual(who.entered("abcx\x7f"), "abc")
        self.assertEqual(who.entered("bcd" + HOME + RIGHT * 6 + "a" + END + "e"), "abcde")
        self.assertEqual(who.entered("one two" + ctrl("W") + "three" + ctrl("A") + RIGHT * 6 + "0 " + ctrl("E") + "!"), "0 one three!")
        self.assertEqual(who.entered("aXb" + LEFT * 2 + DELETE), "ab")
        self.assertEqual(who.entered("日本x語" + LEFT + "\x7f" + "é"), "日本é語")
        # History: the line before, one further up, and what was searched for.
        who.enter("/first")
        who.enter("/second")
        who.enter(UP, "no command /second")
        who.enter(UP + UP, "no command /first")
        who.enter(ctrl("R") + "sec", "no command /second")
        # Lines that wrap, at the width of now.
        long = "x" * 100 + "end"
        self.assertEqual(who.entered(long + LEFT * 3 + "the-"), "x" * 100 + "the-end")
        who.prompt()
        begin = who.screen.row
        who.type("/help " + "Q" * 120)
        who.until(lambda: who.screen.text().count("Q") == 120, "long line")
        self.assertEqual(who.screen.row, begin + 1)
        who.resize(60)
        who.until(lambda: who.screen.row == begin + 2, "line of three rows")
        self.assertEqual(who.screen.text().count("Q"), 120)
        who.resize(100)
        who.until(lambda: "".join(who.screen.lines()[who.screen.row - 1:]).count("Q") == 120, "line of two rows")
        who.type("\x7f" * 119 + "uick\r")
        who.shows("and 'Quick' was given")
        who.resize(80)
        # A line that is taken back, and one of nothing but blanks.
        who.prompt()
        begin = who.screen.row
        who.type("never sent, and " + "long " * 20 + HOME)
        who.until(lambda: "".join(who.screen.lines()).count("long") == 20, "the line")
        who.type(ctrl("C"))
        who.until(lambda: who.screen.row == begin + 2 and PROMPT.match(who.screen.last()), "next prompt")
        who.enter("   ")
        # Texts of several lines: pasted, between marks, and continued.
        said = who.enter(PASTE + "/help with\rtwo lines\x07\t." + PASTED, "/help takes nothing, and 'with\\ntwo lines\\t.' was given")
        self.assertIn("two lines", said)
        who.type('"""\r')
        who.until(lambda: who.screen.last() == "...", "second line")
        who.type("/help is no command here\rWho are you?\"\"\"\r")
        who.prompt()
        who.type("never\\\r")
        who.until(lambda: who.screen.last() == "...", "second line")
        who.type(ctrl("C"))
        who.prompt()
        who.enter("/undo")
        who.type(ctrl("D"))
        who.leaves(0)
        history = [json.loads(line) for line in (self.folder / "state/lapidary/history").read_text().splitlines()]
        self.assertIn("/first", history)
        self.assertIn("/help is no command here\nWho are you?", history)
        self.assertEqual((self.folder / "state/lapidary/history").stat().st_mode & 0o777, 0o600)
        # What was typed before can be come back to, but where nobody wants that.
        again = Typist(self, TINY, "-t", "1")
        again.prompt()
        again.enter(ctrl("R") + "secon", "no command /second")
        again.enter("/exitt" + "\x7f" + "  x\x7f\x7f\x7f" + " x", "/exit takes nothing")
        again.type("/exit\r")
        again.leaves(0)
        before = (self.folder / "state/lapidary/history").read_bytes()
        without = Typist(self, TINY, "-t", "1", "--no-history")
        without.prompt()
        without.enter(UP + "/other", "no command /other")
        without.type("/quit\r")
        without.leaves(0)
        self.assertEqual((self.folder / "state/lapidary/history").read_bytes(), before)

    def test_histories_that_are_none(self):
        history = self.folder / "state/lapidary/history"
        history.parent.mkdir(parents=True)
        os.mkfifo(history)
        waits = Typist(self, TINY, "-t", "1")
        waits.enter("/first", "no command /first")
        waits.enter(UP, "no command /first")
        waits.type(ctrl("D"))
        waits.leaves(0)
        self.assertTrue(history.is_fifo())
        for rest in ("no JSON\n" * 3000, "\0" * 3000000 + "\n"):
            history.unlink()
            history.write_text('"/old"\n' + rest + '"/recent"\n')
            who = Typist(self, TINY, "-t", "1")
            who.enter(UP, "no command /recent")
            who.enter("/next")
            who.type(ctrl("D"))
            who.leaves(0)
            kept = history.read_text().splitlines()
            self.assertEqual(kept[-3:], ['"/recent"', '"/recent"', '"/next"'])
            self.assertLess(len(kept), 5)

    def test_conversation(self):
        os.symlink(SAMPLES, self.folder / "samples")
        self.file("samples of text.txt", "My name is Emma.\n")
        who = Typist(self, TINY, "--temp", "0", "-t", "1")
        # Completion: commands, settings, files with blanks in their names, and a choice of them.
        who.prompt()
        who.type("/to\t\r")
        who.shows("0 of 4096 tokens")
        who.enter("/set max\t3", "")
        who.enter("/set\t", "max-tokens  3")
        who.enter("/set max\tdefault")
        who.prompt()
        who.type("/image sam\t")
        who.until(lambda: who.screen.last().endswith("/image samples"), "common part")
        who.type("\t")
        who.until(lambda: "samples of text.txt" in who.screen.text(), "both files")
        who.type("/i\t")
        who.until(lambda: who.screen.last().endswith("samples/image_"), "the folder's files")
        who.type("2\t\r")
        who.prompt()
        self.assertEqual(who.screen.last(), "0 % +1 >")
        who.enter("What do you see?", "A pink square and a yellow triangle.", "ctx 2 %")
        self.assertEqual(who.screen.last(), "2 % >")
        self.assertIn(b"\x1b[2mprompt", who.shown, "the timings are dim")
        who.enter("/audio samples/speech_1.wav")
        who.enter("/image nowhere.png", "nowhere.png")
        who.enter("/show", "waiting     samples/speech_1.wav", "messages    2")
        who.enter("/clear")
        self.assertEqual(who.screen.last(), "0 % >")
        # Texts from files, turns undone and answered anew.
        who.enter("/read samples\t of\t")
        who.enter("My name is Emma.", "Emma")
        who.enter("What is my name?", EMMA, " cached)")
        who.enter("/regen", EMMA)
        who.enter("/undo")
        who.enter("What is my name?", EMMA)
        who.enter("/set temp hot", "temp takes a number, not 'hot'")
        # Thoughts: dim, or not at all.
        who.enter("/think on")
        mark = len(who.shown)
        who.enter("What is 63 - 27?", "Borrow", "63 - 27 =")
        self.assertIn(b"\x1b[2mBorrow", who.shown[mark:].replace(b"\r\n", b""))
        who.enter("/think hide")
        self.assertNotIn("Borrow", who.enter("/regen", "63 - 27 ="))
        who.enter("/think off")
        # Saved and gone on with, here and in another program: the same answers from the same state.
        who.enter("/undo")
        who.enter("/save kept", "saved to kept")
        same = who.enter("Who are you?", " cached)")
        who.enter("/save kept", "saved to kept")
        who.enter("/undo")
        who.enter("/save first", "saved to first")
        who.enter("/load kept", "6 messages")
        who.enter("What is my name?", EMMA, " cached)")
        who.enter("/load first", "4 messages")
        parts = re.compile(r"Who are you[?]\n(.*)\n(prompt \d+ [(]\d+ cached[)]).*(reply \d+)")
        self.assertEqual(parts.search(who.enter("Who are you?")).groups(), parts.search(same).groups())
        who.enter(f"/save {TINY / 'config.json'}", "is a file of the model")
        who.type("/bye\r")
        who.leaves(0)
        done = lapidary("chat", TINY, "--temp", "0", "--load", self.folder / "kept", stdin=b"What is my name?\n")
        self.assertEqual(done.stdout.decode(), EMMA + "\n", done.stderr)
        self.assertIn(b" cached)", done.stderr)

    def test_interrupting(self):
        endless = self.endless_model()
        who = Typist(self, endless, "--temp", "0", "-n", "-1", "-t", "1", "-c", "2k", LAPIDARY_CPU="ref")
        who.prompt()
        who.type("Who are you?\r")
        who.shows("tiny demo")
        who.resize(60)
        size = len(who.shown)
        who.until(lambda: len(who.shown) > size + 50, "more of the answer")
        self.assertIsNone(who.child.poll())
        who.type(ctrl("C"))
        who.prompt()
        self.assertIn("stopped", who.screen.text())
        self.assertNotIn("0 % >", who.screen.last())
        who.enter("/show", "messages    2")
        # Ctrl-Z, where no shell is that could take the terminal: nothing happens, and what was typed is still there.
        who.type("/help me")
        who.shows("/help me")
        who.type(ctrl("Z"))
        who.until(lambda: who.screen.text().count("> /help me") == 2, "the line again")
        who.type("!\r")
        who.shows("and 'me!' was given")
        # Another one.
        who.prompt()
        begin = who.screen.row
        who.type("/regen\r")
        who.until(lambda: who.screen.row > begin and who.screen.last(), "an answer")
        who.type(ctrl("C"))
        who.until(lambda: who.screen.text().count("stopped") == 2, "second stop")
        # Twice: out. Both signals come before the program can obey the first.
        who.enter("/undo")
        begin = who.screen.row
        who.type("Tell me a story.\r")
        who.until(lambda: who.screen.row > begin and len(who.screen.last()) > 10, "an answer")
        who.child.send_signal(signal.SIGSTOP)
        who.child.send_signal(signal.SIGINT)
        who.child.send_signal(signal.SIGTERM)
        who.child.send_signal(signal.SIGCONT)
        who.leaves((130, 143))
        for keys, code in ((ctrl("C"), 130), (None, 143)):
            at_prompt = Typist(self, TINY, "-t", "1")
            at_prompt.prompt()
            if keys:
                at_prompt.type(keys)
            else:
                at_prompt.type("some text")
                at_prompt.shows("some text")
                at_prompt.child.terminate()
            at_prompt.leaves(code)

    def test_plain_terminals(self):
        for env in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
            who = Typist(self, TINY, "--temp", "0", "-t", "1", **env)
            who.enter("Who are you?", "I am a tiny demo model")
            self.assertNotIn(b"\x1b[2m", who.shown)
            if "TERM" in env:
                self.assertNotIn(b"\x1b", who.shown)
            who.type(ctrl("D"))
            who.leaves(0)
        # The answers to a file: what is typed is still edited.
        quiet = Typist(self, TINY, "-q", "-t", "1")
        quiet.prompt()
        self.assertEqual(quiet.screen.lines()[0], "0 % >", "no greeting")
        quiet.type("Hi\r")
        quiet.until(lambda: quiet.screen.row >= 2 and PROMPT.match(quiet.screen.last()), "next prompt")
        self.assertNotIn("ctx", quiet.screen.text())
        quiet.type(ctrl("D"))
        quiet.leaves(0)


if __name__ == "__main__":
    main()
