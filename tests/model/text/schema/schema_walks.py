"""What random choices among allowed tokens make of random schemas, as answers and as calls of tools (schema_reader_test.cpp),
validates, says python3-jsonschema; and it says no where tokens slip that are not allowed, so that it would notice.

Usage: schema_walks.py TEST_PROGRAM"""

import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import date, datetime

try:
    from jsonschema import Draft202012Validator, FormatChecker
except ImportError:
    SYSTEM = "/usr/bin/python3"  # whose package it is, where another one was found first
    if os.path.realpath(sys.executable) == os.path.realpath(SYSTEM) or not os.path.exists(SYSTEM):
        sys.exit("python3-jsonschema is missing: scripts/install_packages.sh test installs it")
    os.execv(SYSTEM, [SYSTEM, *sys.argv])

ANSWERS, ALL = "schema: random choices among*", "schema: random choices*"
checker = FormatChecker(formats=())  # the formats are checked here: what the package checks depends on others


@checker.checks("date", raises=ValueError)
def is_date(text):
    return not isinstance(text, str) or (len(text) == 10 and bool(date.fromisoformat(text)))


@checker.checks("time", raises=ValueError)
def is_time(text):
    return is_date_time(f"2000-01-01T{text}") if isinstance(text, str) else True


@checker.checks("date-time", raises=ValueError)
def is_date_time(text):
    if not isinstance(text, str):
        return True
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    return bool(found) and bool(datetime.fromisoformat(found[1] + (found[3] if found[3] != "Z" else "+00:00")))


@checker.checks("uuid")
def is_uuid(text):
    return not isinstance(text, str) or bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text))


@checker.checks("ipv4")
def is_ipv4(text):
    parts = text.split(".") if isinstance(text, str) else ["0"] * 4
    return len(parts) == 4 and all(p.isascii() and p.isdigit() and str(int(p)) == p and int(p) < 256 for p in parts)


@checker.checks("hostname")
def is_hostname(text):
    return not isinstance(text, str) or (len(text) < 254 and all(
        re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", label) for label in text.split(".")))


@checker.checks("email")
def is_email(text):
    local, at, host = text.partition("@") if isinstance(text, str) else ("a", "@", "b.c")
    return bool(local and at) and is_hostname(host) and not re.search(r"\s|\.\.|^\.|\.$", local)


@checker.checks("uri")
def is_uri(text):
    return not isinstance(text, str) or bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", text))


def no_twins(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key stands twice: {keys}")
    return dict(pairs)


def problem_of(schema, text):
    try:
        value = json.loads(text, object_pairs_hook=no_twins)
    except ValueError as error:
        return str(error)
    found = next(iter(Draft202012Validator(schema, format_checker=checker).iter_errors(value)), None)
    return found and found.message


def walks(program, case, **more):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "walks.jsonl")
        subprocess.run([program, f"--test-case={case}"], check=True, env={**os.environ, "LAPIDARY_SCHEMA_WALKS": path, **more})
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                walk = json.loads(line)
                yield json.loads(walk["schema"]), walk["text"]


def main():
    program = sys.argv[1]
    count = 0
    for schema, text in walks(program, ALL):
        Draft202012Validator.check_schema(schema)
        problem = problem_of(schema, text)
        if problem:
            sys.exit(f"schema {json.dumps(schema)}\ntext {text}\ndoes not validate: {problem}")
        count += 1
    slips = [problem_of(schema, text) is not None for schema, text in walks(program, ANSWERS, LAPIDARY_SCHEMA_SLIPS="yes")]
    print(f"{count} texts of as many schemas validate; of {len(slips)} with slips {sum(slips)} do not")
    if count < 250 or sum(slips) < len(slips) / 3 or len(slips) < 40:
        sys.exit("too few texts, or the validator does not notice slips")


if __name__ == "__main__":
    main()
