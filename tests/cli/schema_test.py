"""`run --schema` and `--hold-tools`: answers of any seed are JSON of that form, and what is not served is named."""

import json
import unittest

from support import TINY, CliTest, lapidary, main

CASE = next(case for case in json.loads((TINY / "reference.json").read_text())["cases"] if case["name"] == "text_tool_call")
SCHEMA = {"type": "object", "required": ["kind", "when", "parts"], "additionalProperties": False, "properties": {
    "kind": {"enum": ["cat", "dog"]}, "when": {"type": "string", "format": "date"},
    "parts": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "object", "properties": {
        "n": {"type": "number", "minimum": 0, "exclusiveMaximum": 10}, "note": {"type": "string", "maxLength": 9}}, "required": ["n"]}}}}


class Schema(CliTest):
    def test_answers_of_any_seed(self):
        for source in (self.file("schema.json", json.dumps(SCHEMA)), json.dumps(SCHEMA), "-"):
            stdin = json.dumps(SCHEMA).encode() if source == "-" else None
            for seed in range(2):
                done = lapidary("run", TINY, "-p", "What is this?", "--schema", source, "--temp", "1", "--seed", seed, stdin=stdin)
                self.assertEqual(done.returncode, 0, done.stderr)
                answer = json.loads(done.stdout)
                self.assertIn(answer["kind"], ("cat", "dog"))
                self.assertRegex(answer["when"], r"^\d{4}-\d\d-\d\d$")
                self.assertIn(len(answer["parts"]), (1, 2, 3))
                for part in answer["parts"]:
                    self.assertTrue(0 <= part["n"] < 10 and len(part.get("note", "")) <= 9, part)

    def test_a_cut_answer_says_so(self):
        done = lapidary("run", TINY, "-p", "x", "--schema", json.dumps(SCHEMA), "-n", "3")
        self.assertIn("the reply was cut", done.stderr.decode())

    def test_held_tools(self):
        tools = json.loads(json.dumps(CASE["tools"]))
        tools[0]["function"]["parameters"]["properties"]["city"] = {"type": "string", "enum": ["Rome", "Oslo"]}
        ask = ("run", TINY, "-p", CASE["messages"][0]["content"], "--temp", "0", "--tools", self.file("tools.json", json.dumps(tools)))
        reply = self.ok_json(*ask, "--hold-tools")
        self.assertIn(json.loads(reply["tool_calls"][0]["function"]["arguments"])["city"], ("Rome", "Oslo"))
        self.fails(2, "run", TINY, "-p", "x", "--hold-tools", says=["--hold-tools", "no tools", "--tools FILE"])

    def test_mistakes(self):
        ask = ("run", TINY, "-p", "x", "--schema")
        self.fails(1, *ask, self.folder / "none.json", says="none.json")
        for neither in ("true", "[1]", "schema"):
            self.fails(1, *ask, neither, says=[neither, "a file, or JSON that begins with {"])
        self.fails(2, *ask, "", says="--schema is empty")
        self.fails(2, *ask, self.file("empty.json", ""), says="empty")
        self.fails(2, *ask, self.file("bad.json", "["), says="the schema: not valid JSON")
        self.fails(2, *ask, '{"properties":{"a":{"uniqueItems":true}}}', says="#/properties/a/uniqueItems")
        self.fails(2, *ask, '{"type":"integer","minimum":2,"maximum":1}', says="no value meets this schema")
        self.fails(2, *ask, "{}", "--stop", "x", says="stop")
        self.fails(2, "run", TINY, "-p", "-", "--schema", "-", stdin=b"{}", says="twice")


if __name__ == "__main__":
    main()
