"""The conversations with tools that make_tool_goldens.py renders. Data only."""
from .conversations import ASK, BARE, HI, IMAGE, PARIS, RICH, WEATHER, call, function, image, model, result, system, text, user


def properties(**members):
    return {"type": "object", "properties": members}


def calls(*pairs, **more):
    return {"role": "assistant", "content": None, **more,
            "tool_calls": [call(name, arguments, f"call_{i}") for i, (name, arguments) in enumerate(pairs)]}


def results(*contents):
    return [result(content, f"call_{i}") for i, content in enumerate(contents)]


SCHEMAS = {
    "worked_example": properties(
        days={"type": "integer", "nullable": True}, location={"type": "string", "description": "The city name"},
        opt={"type": "object", "properties": {"a": {"type": "number", "description": "A"}}, "required": ["a"]},
        tags={"type": "array", "items": {"type": "string"}}, unit={"type": "string", "enum": ["c", "f"]}),
    "key_order": properties(**{key: {"type": "string"} for key in ["b", "A", "a", "Z", "_", "1", "Ä", "ä", "z", "é", "Ж", "ж"]}),
    "dropped_keywords": {**properties(n={"type": "integer", "minimum": 0, "default": 3, "title": "N"}, s={
        "type": "string", "pattern": "^a", "format": "date", "anyOf": [{"type": "string"}]}),
        "additionalProperties": False, "$defs": {"x": {}}},
    "no_properties": {"type": "object"},
    "empty_properties": {"type": "object", "properties": {}, "required": []},
    "no_type": {"properties": {"a": {"type": "string"}}, "required": ["a"]},
    "untyped_property": properties(a={}, b={"description": "only this"}),
    "object_of_anything": properties(o={"type": "object"}, p={
        "type": "object", "description": "open", "additionalProperties": {"type": "string"}, "x": 3}),
    "deep_objects": properties(a=properties(b=properties(c={"type": "array", "items": properties(d={"type": "boolean"})}))),
    "items_of_everything": properties(rows={"type": "array", "description": "Rows", "items": {
        "type": "object", "properties": {"k": {"type": "string", "enum": ["x", "y"]}}, "required": ["k"],
        "description": "One", "minItems": 2, "ratio": 0.5, "none": None, "map": {"B": [1, "two"], "a": True}}}),
    "items_union": properties(v={"type": "array", "items": {"type": ["string", "null"]}},
                              w={"type": "array", "items": {}}, x={"type": "array", "items": {"enum": ["a", 1, None]}}),
    "several_types": properties(v={"type": ["string", "integer"], "description": "Either"}),
    "enum_of_numbers": properties(n={"type": "integer", "enum": [1, 2]}, s={"type": "string", "enum": ["1", 2, 2.50, None, True]}),
    "text_with_quotes": properties(q={"type": "string", "description": "say \"hi\", 'x' {a:b} <b> \\n \n end \u00e9\U0001f600"}),
    "mixed_case_type": properties(s={"type": "String"}, a={"type": "ARRAY", "items": {"type": "Integer"}}),
}

CODE = "#include <vector>\nint main() {\n    // \"quotes\", 'ticks', {braces}, [lists], <angles>, a:b, x,y\n\tif (a < b && c > d) return f({1, 2});\n}\n"
ARGUMENTS = {
    "worked_example": {"location": "Oslo", "days": 2, "x": 1.5, "n": None, "b": True, "l": ["a", 1], "o": {"k": "v"}},
    "numbers": {"a": 0, "b": -7, "c": 1.0, "d": 1e20, "e": 1.5e-7, "f": 0.0001, "g": 1e16, "h": 123456789012345678901234567890,
                "i": -0.0, "j": 3.141592653589793, "k": 5e-324, "l": 1e15, "m": 100000.5},
    "empty_things": {"s": "", "l": [], "o": {}, "ll": [[]], "n": None},
    "nested": {"a": {"b": {"c": [{"d": [1, [2, {"e": None}]]}]}}, "B": {"z": 1, "Y": 2}},
    "source_code": {"path": "src/main.cpp", "content": CODE},
    "hostile_strings": {"a": "}", "b": "{x:1}", "c": "<", "d": "<|", "e": "call:g{}", "f": "','", "g": "\\", "h": " lead and trail ",
                        "i": ["],[", "}}"], "j": "\n\n", "k": "null", "l": "1"},
    "keys": {"with space": 1, "a.b": 2, "a-b": 3, "Ünï": 4, "ж": 5, "Ж": 6, "[k]": 7},
    "case_of_keys": {"b": 1, "A": 2, "a": 3, "Z": 4},
    "unicode": {"t": "Grüße 你好 🦙 e\u0301 \u2028 \u00a0"},
}

RICH_RESULT = [text(" one "), image(), text("two\n"), {"type": "audio"}, {"type": "video"}]
HISTORY = [ASK, {**PARIS, "reasoning": "look it up"}, result("sunny"), model("It is sunny.", reasoning="done"), user("And Rome?")]
TALKS = {
    "names": [ASK, calls(("ns:tool.name-2", {"a": 1}), ("get_weather", {})), *results("x", "y")],
    "three_calls": [ASK, calls(("f", {"a": "1"}), ("f", {"a": "2"}), ("g", {})), *results("r1", "r2", "r3")],
    "results_out_of_order": [ASK, calls(("f", {}), ("g", {})), result("of g", "call_1"), result("of f", "call_0")],
    "one_result_of_two": [ASK, calls(("f", {}), ("g", {})), result("of f", "call_0")],
    "result_without_id": [ASK, PARIS, {"role": "tool", "content": "ok", "name": "named"}],
    "result_null": [ASK, PARIS, result(None)],
    "result_number": [ASK, PARIS, result(15.50)],
    "result_true": [ASK, PARIS, result(True)],
    "result_empty": [ASK, PARIS, result("")],
    "result_media": [ASK, PARIS, result(RICH_RESULT)],
    "result_media_and_content": [user([IMAGE, text("Compare")]), {**PARIS, "content": [text("Look: "), IMAGE]},
                                 result(RICH_RESULT), model("Alike."), user("Sure?")],
    "responses_inside": [ASK, {**PARIS, "tool_responses": [{"name": "get_weather", "response": {"t": 15, "Sky": "clear"}}]}],
    "responses_inside_values": [ASK, {"role": "assistant", "content": "So.", "tool_responses": [
        {"name": "", "response": "text"}, {"name": "n", "response": [1, None]}, {"response": None}]}, HI],
    "two_rounds": [ASK, PARIS, result("sunny"), calls(("get_weather", {"city": "Rome"})), result("rain", "call_0"),
                   model("Sun and rain."), user("Thanks")],
    "rounds_with_thoughts": [ASK, {**PARIS, "reasoning": "first"}, result("sunny"),
                             calls(("get_weather", {"city": "Rome"}), reasoning_content="second"), result("rain", "call_0")],
    "answer_continues": [ASK, PARIS, result("sunny"), model("It is "), model("sunny.")],
    "answer_then_call": [ASK, model("One moment."), PARIS, result("sunny"), model("Sunny."), HI],
    "text_and_open_call": [ASK, {**PARIS, "content": "Let me look."}],
    "text_call_result_next": [ASK, {**PARIS, "content": "Let me look."}, result("sunny"), user("Well?")],
    "text_call_result_answer": [ASK, {**PARIS, "content": "Let me look."}, result("sunny"), model("Sunny.")],
    "history": HISTORY,
    "history_in_a_call": [*HISTORY, calls(("get_weather", {"city": "Rome"}), reasoning="again")],
    "thought_inside_answer": [ASK, {**PARIS, "content": "<|channel>thought\nx<channel|> "}, result("sunny")],
    "system_parts": [system([text(" Be "), text("brief. ")]), *HISTORY],
    "developer_later": [ASK, PARIS, result("sunny"), {"role": "developer", "content": " Rhyme. "}, HI],
}


def cases():
    """Name, tools, messages and settings of each."""
    for name, parameters in SCHEMAS.items():
        yield {"name": "schema_" + name, "tools": [function("f", f"Of {name}.", parameters)], "messages": [HI]}
    response = {"type": "function", "function": {**BARE["function"], "response": {"type": "object", "description": "The time"}}}
    yield {"name": "several_tools", "tools": [WEATHER, RICH, response, function("g", "")], "messages": [system(" S "), HI]}
    for name, arguments in ARGUMENTS.items():
        yield {"name": "arguments_" + name, "messages": [ASK, calls(("f", arguments)), result("ok", "call_0"), model("Fine."), HI]}
        response = {key: value for key, value in arguments.items() if key != "h" or name != "numbers"}  # beyond C++'s readers
        yield {"name": "response_" + name, "messages": [ASK, {**PARIS, "tool_responses": [{"name": "f", "response": response}]}]}
    for name, messages in TALKS.items():
        for thinking in (False, True):
            yield {"name": name + "_thinking" * thinking, "tools": [WEATHER], "messages": messages, "enable_thinking": thinking}
    for name in ("history", "history_in_a_call", "rounds_with_thoughts"):
        yield {"name": name + "_preserved", "tools": [WEATHER], "messages": TALKS[name], "preserve_thinking": True}
    for name in ("two_rounds", "answer_continues", "text_and_open_call"):
        yield {"name": name + "_no_prompt", "tools": [WEATHER], "messages": TALKS[name], "add_generation_prompt": False}
