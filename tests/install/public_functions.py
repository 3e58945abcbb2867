"""The functions that a public header declares for others, read from its text: not private, and defined elsewhere.

It knows the C++ that our headers are written in: name spaces, classes, `using`, fields with defaults, inline bodies."""

import re

FUNCTION = re.compile(r"(?:^|[\s*&])(operator\s*\S+?|~?\w+)\s*\(")
NO_FUNCTION = re.compile(r"^(using|friend|enum|typedef)\b|=\s*(default|delete|0)$")


def tokens(text):
    """Pieces that end in `{`, `}` or `;`, or at the label of a section of a class."""
    text = re.sub(r"//.*|/\*(?s:.)*?\*/|^\s*#.*", "", text, flags=re.MULTILINE)
    for piece in re.findall(r"[^{};]*[{};]", text):
        *labels, rest = re.split(r"\b(public|private|protected)\s*:(?!:)", piece)
        yield from (f"{label}:" for label in labels[1::2])
        yield rest.strip()


def closes(rest):
    """Reads up to the brace that closes the one just opened."""
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(next(rest)[-1], 0)


def public_functions(text):
    """Full names, one for each overload: ["lapidary::version", "lapidary::Part::image", "lapidary::Part::image"]."""
    found = []
    scopes = []  # [name, whether what follows is public]
    begun = ""   # of a declaration, where the braces of a default stand in it
    rest = tokens(text)
    for piece in rest:
        end, piece = piece[-1], (begun + " " + piece[:-1]).strip()
        begun = ""
        if end == ":":
            scopes[-1][1] = piece == "public"
        elif end == "}":
            scopes.pop()
        elif end == "{":
            opened = re.match(r"(?:template\s*<.*?>\s*)?(namespace|class|struct)\b(?:\s*\[\[\w+\]\])?\s*([\w:<>]*)", piece)
            if opened:
                scopes.append([opened[2], opened[1] != "class"])
            elif re.match(r"enum\b", piece) or re.search(r"[=(,]\s*$", piece):
                closes(rest)   # values, or a default
                begun = piece
            else:
                closes(rest)   # a body, or a field's braces
                begun = "" if "(" in piece else piece
        elif all(public for _, public in scopes):
            function = FUNCTION.search(piece)
            if function and not NO_FUNCTION.search(piece) and "=" not in piece[:function.start(1)]:
                found.append("::".join([*(name for name, _ in scopes), function[1]]))
    return found
