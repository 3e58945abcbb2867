"""What a person sees at a terminal: a screen of so many columns that obeys what the program sends, as far as it sends it."""

import codecs
import re
import unicodedata

SEQUENCE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z@])|\x1b[=>]|\x1b\(B")
INCOMPLETE = re.compile(r"\x1b(\[\??[\d;]*)?$")


class Screen:
    def __init__(self, columns=80):
        self.columns, self.rows, self.row, self.column = columns, [[]], 0, 0
        self.pending = ""       # of a sequence that is not whole yet
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.modes = set()      # that were set and not reset
        self.unknown = []       # sequences that mean nothing here

    def feed(self, data):
        text = self.pending + self.decoder.decode(data)
        self.pending = ""
        at = 0
        while at < len(text):
            found = SEQUENCE.match(text, at)
            if found:
                self.obey(found)
                at = found.end()
                continue
            if INCOMPLETE.match(text, at):
                self.pending = text[at:]
                return
            if text[at] == "\x1b":
                self.unknown.append(text[at:at + 8])
            self.show(text[at])
            at += 1

    def line(self):
        while self.row >= len(self.rows):
            self.rows.append([])
        line = self.rows[self.row]
        line.extend(" " * (self.column - len(line)))
        return line

    def show(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
        elif character == "\b":
            self.column = max(0, min(self.column, self.columns) - 1)
        elif character == "\t":
            self.column = min(self.columns - 1, self.column // 8 * 8 + 8)
        elif character >= " ":
            width = 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
            if width == 0:
                return
            if self.column + width > self.columns:  # as terminals that wrap late
                self.row, self.column = self.row + 1, 0
            line = self.line()
            line[self.column:self.column + width] = [character] + [""] * (width - 1)
            self.column += width

    def obey(self, sequence):
        private, arguments, letter = sequence.groups()
        if letter is None or letter == "m":
            return
        if private:
            (self.modes.add if letter == "h" else self.modes.discard)(arguments)
            return
        numbers = [int(n) if n else 0 for n in arguments.split(";")]
        count = max(1, numbers[0])
        self.column = min(self.column, self.columns - 1)
        line = self.line()
        if letter == "A":
            self.row = max(0, self.row - count)
        elif letter == "B":
            self.row += count
        elif letter == "C":
            self.column = min(self.columns - 1, self.column + count)
        elif letter == "D":
            self.column = max(0, self.column - count)
        elif letter == "G":
            self.column = count - 1
        elif letter == "K":
            del line[self.column:]
        elif letter == "J":
            del line[self.column:]
            del self.rows[self.row + 1:]
        elif letter == "P":
            del line[self.column:self.column + count]
        elif letter == "@":
            line[self.column:self.column] = [" "] * count
        else:
            self.unknown.append(sequence.group())

    def lines(self):
        return ["".join(line).rstrip() for line in self.rows]

    def text(self):
        return "\n".join(self.lines())

    def last(self):
        """The row of the cursor."""
        return self.lines()[self.row] if self.row < len(self.rows) else ""
