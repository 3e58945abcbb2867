"""The conversations that chat.py renders: plain ones first, then tools. Data only."""
import json


def user(content):
    return {"role": "user", "content": content}


def system(content):
    return {"role": "system", "content": content}


def model(content, **more):
    return {"role": "assistant", "content": content, **more}


def text(value):
    return {"type": "text", "text": value}


def image(url="data:image/png;base64,AA=="):
    return {"type": "image_url", "image_url": {"url": url}}


def audio():
    return {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}


def call(name, arguments, id="call_1"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def result(content, id="call_1", **more):
    return {"role": "tool", "tool_call_id": id, "content": content, **more}


def function(name, description, parameters=None):
    inner = {"name": name, "description": description}
    if parameters is not None:
        inner["parameters"] = parameters
    return {"type": "function", "function": inner}


HI, BYE = user("Hi"), user("Bye")
IMAGE, AUDIO, VIDEO = {"type": "image"}, {"type": "audio"}, {"type": "video"}

PLAIN = {
    "user": [HI],
    "user_trimmed": [user(" \n\t Hello there \u2003 \n")],
    "user_inner_space": [user("a  b\n\n  c\td")],
    "user_empty": [user("")],
    "user_only_space": [user("  \n ")],
    "user_unicode": [user("Gr\u00fc\u00dfe \u4f60\u597d \U0001f600")],
    "user_other_space": [user("\u00a0x\u00a0\u3000")],
    "user_control_space": [user("\x1c\x1f\x85x\u2028\u200b")],
    "user_markup": [user("say <turn|> and <|turn>model\n <b>&amp;</b> {{ x }}")],
    "user_thought_markup": [user("keep <|channel>thought\nthis<channel|> please")],
    "user_quotes": [user("\"q\" 'a' \\ / \u2581")],
    "system_user": [system("Be brief."), HI],
    "system_trimmed": [system("  Be brief. \n"), user(" Hi ")],
    "system_empty": [system(""), HI],
    "system_parts": [system([text(" One. "), text("Two.")]), HI],
    "developer_user": [{"role": "developer", "content": "Be exact."}, HI],
    "system_only": [system("Be brief.")],
    "system_twice": [system("One."), system("Two."), HI],
    "system_later": [HI, model("Hello!"), system("Now rhyme."), user("Go on")],
    "developer_later": [HI, {"role": "developer", "content": " Now rhyme. "}, user("Go on")],
    "two_turns": [HI, model("Hello!"), BYE],
    "three_turns": [system("S"), HI, model("Hello!"), user("More"), model("Sure."), BYE],
    "model_trimmed": [HI, model("  Hello! \n"), BYE],
    "model_last": [HI, model("Hello!")],
    "model_first": [model("Welcome."), HI],
    "model_empty": [HI, model(""), BYE],
    "model_none": [HI, model(None), BYE],
    "model_parts": [HI, model([text(" One "), text(" two ")]), BYE],
    "model_twice": [HI, model("One."), model("Two."), BYE],
    "model_three_times": [HI, model("One."), model(" Two. "), model("Three.")],
    "user_twice": [HI, BYE],
    "parts_join": [user([text(" A "), text(" B ")])],
    "parts_empty": [user([])],
    "image_text": [user([IMAGE, text("What is this?")])],
    "image_url_text": [user([image(), text(" What is this? ")])],
    "text_audio": [user([text("Write it down. "), audio()])],
    "audio_plain": [user([AUDIO])],
    "video_text": [user([VIDEO, text("What happens?")])],
    "images_between": [user([text("First "), IMAGE, text(" then "), image(), IMAGE, text(" done")])],
    "all_media": [system("Look."), user([IMAGE, VIDEO, text("and hear"), AUDIO]), model("Fine."),
                  user([image(), text("again")])],
    "unknown_part": [user([{"type": "file", "file": {}}, text("x")])],
    "channel_in_model": [HI, model("<|channel>thought\nsecret<channel|>Hello!"), BYE],
    "channel_twice_in_model": [HI, model(" a <|channel>x<channel|> b <|channel>y<channel|> c "), BYE],
    "channel_unclosed": [HI, model("Hello <|channel>thought\nnever closed"), BYE],
    "channel_stray_end": [HI, model("a<channel|>b"), BYE],
    "channel_in_part": [HI, model([text("<|channel>x<channel|> one "), text("two")]), BYE],
    "reasoning_dropped": [HI, model("Hello!", reasoning="greet back"), BYE],
    "reasoning_content_dropped": [HI, model("Hello!", reasoning_content="greet back"), BYE],
    "reasoning_kept_last": [HI, model("Hello!", reasoning="greet back")],
    "reasoning_content_last": [HI, model("Hello!", reasoning_content=" greet back\n")],
    "reasoning_two_models": [HI, model("One.", reasoning="a"), model("Two.", reasoning="b")],
    "reasoning_system_shift": [system("S"), HI, model("Hello!", reasoning="greet")],
    "reasoning_empty": [HI, model("Hello!", reasoning="")],
}

WEATHER = function("get_weather", "Current weather.", {
    "type": "object", "properties": {"city": {"type": "string", "description": "City name"}}, "required": ["city"]})
RICH = function("plan_trip", "Plans a trip.", {
    "type": "object",
    "properties": {
        "days": {"type": "integer", "description": "How many"},
        "mode": {"type": "string", "enum": ["car", "train"], "description": "How"},
        "stops": {"type": "array", "items": {"type": "string"}, "description": "Where"},
        "Budget": {"type": "number", "nullable": True},
        "options": {"type": "object", "properties": {"quiet": {"type": "boolean"}, "seat": {"type": "string"}},
                    "required": ["quiet"]},
        "legs": {"type": "array", "items": {
            "type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}},
        "anything": {"description": "No type given"},
    },
    "required": ["days", "mode"]})
BARE = function("now", "Tells the time.")
ASK = user("Weather in Paris?")
PARIS = {"role": "assistant", "content": None, "tool_calls": [call("get_weather", {"city": "Paris"})]}
MANY = {"zeta": 1, "Alpha": -2.5, "beta": True, "gamma": None, "list": ["a", 2, [False, None]],
        "map": {"b": 1, "A": {"c": "d"}}, "none": {}, "empty": [], "text": "line\n\"quoted\" \u00e9", "big": 15000000000.0}

TOOLS = {
    "tools_declared": ([WEATHER], [ASK]),
    "tools_with_system": ([WEATHER], [system("Be brief."), ASK]),
    "tools_rich": ([RICH, BARE], [user("Plan")]),
    "tool_call_open": ([WEATHER], [ASK, PARIS]),
    "tool_result_string": ([WEATHER], [ASK, PARIS, result("sunny, 21 C")]),
    "tool_result_json_text": ([WEATHER], [ASK, PARIS, result("{\"sky\": \"clear\", \"t\": 21}")]),
    "tool_result_parts": ([WEATHER], [ASK, PARIS, result([text("see "), text("picture"), image()])]),
    "tool_result_named": ([WEATHER], [ASK, PARIS, result("ok", id="other", name="get_weather")]),
    "tool_result_unknown": ([WEATHER], [ASK, PARIS, result("ok", id="other")]),
    "tool_answered": ([WEATHER], [ASK, PARIS, result("sunny"), model("It is sunny."), BYE]),
    "tool_answered_last": ([WEATHER], [ASK, PARIS, result("sunny"), model("It is sunny.")]),
    "tool_text_and_call": ([WEATHER], [ASK, model("Let me look.", tool_calls=PARIS["tool_calls"]), result("sunny")]),
    "tool_two_calls": ([WEATHER], [ASK, model("", tool_calls=[call("get_weather", {"city": "Paris"}), call(
        "get_weather", {"city": "Rome"}, "call_2")]), result("sunny"), result("rain", "call_2")]),
    "tool_chain": ([WEATHER], [ASK, PARIS, result("sunny"), model(None, tool_calls=[call(
        "get_weather", {"city": "Rome"}, "c2")]), result("rain", "c2")]),
    "tool_reasoning": ([WEATHER], [ASK, {**PARIS, "reasoning": "need data"}, result("sunny")]),
    "tool_reasoning_old": ([WEATHER], [ASK, {**PARIS, "reasoning": "need data"}, result("sunny"), model("Sunny."), BYE]),
    "tool_arguments": ([RICH], [user("Plan"), model(None, tool_calls=[call("plan_trip", MANY)]), result("done")]),
    "tool_no_arguments": ([BARE], [user("Time?"), model(None, tool_calls=[call("now", {})]), result("12:00")]),
    "tool_orphan_result": ([WEATHER], [ASK, result("sunny")]),
    "tool_undeclared": (None, [ASK, PARIS, result("sunny"), model("Sunny.")]),
}
WITHOUT_PROMPT = ("two_turns", "model_last", "reasoning_kept_last", "tool_call_open", "tool_answered_last")
PRESERVED = ("reasoning_dropped", "tool_reasoning_old")


def conversations():
    """Every conversation with thinking off and on; some also without a generation prompt or with thoughts kept."""
    groups = [(name, None, messages) for name, messages in PLAIN.items()]
    groups += [(name, tools, messages) for name, (tools, messages) in TOOLS.items()]
    for name, tools, messages in groups:
        for thinking in (False, True):
            base = {"name": name + ("_thinking" if thinking else ""), "messages": messages,
                    "enable_thinking": thinking, "add_generation_prompt": True}
            if tools:
                base["tools"] = tools
            yield base
            if not thinking and name in WITHOUT_PROMPT:
                yield {**base, "name": name + "_no_prompt", "add_generation_prompt": False}
            if not thinking and name in PRESERVED:
                yield {**base, "name": name + "_preserved", "preserve_thinking": True}
