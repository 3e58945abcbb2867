"""Tools through the program: declarations in, calls out, results in, and every mistake on the way."""

import json
import unittest

from support import TINY, CliTest, lapidary, main

CASE = next(case for case in json.loads((TINY / "reference.json").read_text())["cases"] if case["name"] == "text_tool_call")
QUESTION = CASE["messages"][0]
GREEDY = ["--temp", "0"]


class Tools(CliTest):
    def tools(self, content=None):
        return self.file("tools.json", json.dumps(CASE["tools"] if content is None else content))

    def talk(self, *messages, **more):
        return self.file("talk.json", json.dumps({"messages": [QUESTION, *messages], **more}))

    def test_a_round(self):
        first = self.ok_json("run", TINY, "-p", QUESTION["content"], "--tools", self.tools(), *GREEDY)
        self.assertEqual((first["prompt_tokens"], first["tokens"]), (CASE["input_ids"], CASE["output_ids"]))
        self.assertEqual((first["text"], first["finish"], first["broken_calls"]), ("", "tool_call", []))
        (call,) = first["tool_calls"]
        self.assertEqual((call["type"], call["function"]["name"]), ("function", "get_weather"))
        self.assertEqual(json.loads(call["function"]["arguments"]), {"city": "Paris"})
        for content, printed in (({"weather": "rainy", "temperature": 12}, 'temperature:12,weather:<|"|>rainy<|"|>'),
                                 ('{"weather": "rainy", "temperature": 12}', 'value:<|"|>{"weather": "rainy", "temperature": 12}<|"|>')):
            result = {"role": "tool", "tool_call_id": call["id"], "content": content}
            talk = self.talk({"role": "assistant", "content": None, "tool_calls": [call]}, result, tools=CASE["tools"])
            prompt = json.loads(self.ok("tokenize", TINY, "--messages", talk))
            self.assertTrue(prompt["prompt"].endswith("<|tool_response>response:get_weather{" + printed + "}<tool_response|>"))
            self.assertEqual(prompt["ids"][:len(CASE["input_ids"]) - 4], CASE["input_ids"][:-4])
            answer = self.ok_json("run", TINY, "--messages", talk, *GREEDY)
            self.assertEqual((answer["prompt_tokens"], answer["finish"], answer["tool_calls"]), (prompt["ids"], "stop", []))
            if isinstance(content, dict):
                self.assertIn("12", answer["text"])
                self.assertIn("rain", answer["text"])

    def test_a_call_is_a_line(self):
        done = lapidary("run", TINY, "-p", QUESTION["content"], "--tools", "-", *GREEDY, stdin=self.tools().read_bytes())
        self.assertEqual(done.stdout.decode(), 'get_weather {"city":"Paris"}\n')

    def test_declarations_from_either_file(self):
        inside = self.ok("tokenize", TINY, "--messages", self.talk(tools=CASE["tools"]))
        self.assertEqual(json.loads(inside)["ids"], CASE["input_ids"])
        for content in (CASE["tools"], {"tools": CASE["tools"]}):
            self.assertEqual(self.ok("tokenize", TINY, "--messages", self.talk(), "--tools", self.tools(content)), inside)
        self.fails(2, "run", TINY, "--messages", self.talk(tools=CASE["tools"]), "--tools", self.tools(), says="--tools")
        self.ok("tokenize", TINY, "--messages", self.talk(tools=[]), "--tools", self.tools())

    def test_a_call_that_is_cut(self):
        args = ("run", TINY, "-p", QUESTION["content"], "--tools", self.tools(), "-n", "12", *GREEDY)
        reply = self.ok_json(*args)
        self.assertEqual((reply["tool_calls"], reply["finish"]), ([], "length"))
        self.assertEqual(reply["broken_calls"], ['<|tool_call>call:get_weather{city:<|"|>Paris<|"|>'])
        self.assertIn("note: a call that is cut or cannot be read: '<|tool_call>call:", lapidary(*args).stderr.decode())

    def test_a_thinking_budget(self):
        ask = ("run", TINY, "-p", "What is 63 - 27?", *GREEDY)
        free, short = self.ok_json(*ask, "--think", "on"), self.ok_json(*ask, "--think", "3")
        self.assertEqual(self.ok_json(*ask, "--think", "500")["tokens"], free["tokens"])
        self.assertTrue(free["thinking"].startswith(short["thinking"]))
        self.assertLess(len(short["thinking"]), len(free["thinking"]))
        self.assertEqual(short["tokens"][:6], free["tokens"][:6])
        self.assertEqual((short["tokens"][6], short["finish"]), (14, "stop"))

    def test_mistakes(self):
        ask = ("run", TINY, "-p", "x", "--tools")
        self.fails(1, *ask, self.folder / "none.json", says="none.json")
        self.fails(2, *ask, self.file("t.json", "["), says="tools: not valid JSON")
        self.fails(2, *ask, self.tools({"a": 1}), says="there is no list of tools")
        self.fails(2, *ask, self.tools([{"function": {}}]), says=["tool 0", "name"])
        self.fails(2, *ask, self.tools(), "--raw", says="--raw")
        self.fails(2, "run", TINY, "--tools", "-", "-p", "-", stdin=b"[]", says="twice")
        self.fails(2, "tokenize", TINY, "x", "--tools", self.tools(), says="--messages")
        for message, says in (({"role": "tool", "content": "x"}, "nobody called"),
                              ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]}, "no object"),
                              ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "no function")):
            self.fails(2, "run", self.folder / "absent.gguf", "--messages", self.talk(message), says=["message 1", says])


if __name__ == "__main__":
    main()
