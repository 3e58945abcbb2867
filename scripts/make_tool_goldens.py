#!/usr/bin/env python3
"""Makes tests/data/goldens/chat_tools.json: conversations with tools as the canonical chat template prints them, and their ids.

    python3 -m venv goldens-venv && goldens-venv/bin/pip install transformers==5.23.0 jinja2==3.1.6
    goldens-venv/bin/python scripts/make_tool_goldens.py TEMPLATE

TEMPLATE is model/renderers/testdata/gemma4_31b_chat_template.jinja2 of ollama/ollama, which is not kept here. Rendering and
ids are apply_chat_template's, with the tokenizer of models/tiny, to which the layout's control tokens are what they are to
the 12B. Arguments are parsed before the template sees them, as it demands.
"""
import copy
import json
import pathlib
import platform
import sys
import zlib

import jinja2
import tokenizers
import transformers
from goldens.tool_cases import cases

ROOT = pathlib.Path(__file__).resolve().parents[1]


def for_template(messages):
    messages = copy.deepcopy(messages)
    for message in messages:
        for call in message.get("tool_calls") or []:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


def main():
    template = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
    tokenizer = transformers.AutoTokenizer.from_pretrained(ROOT / "models/tiny")
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "jinja2": jinja2.__version__,
                "python": platform.python_version(), "template_crc32": f"{zlib.crc32(template.encode()):08x}"}
    lines = []
    for case in cases():
        settings = {key: case[key] for key in ("enable_thinking", "preserve_thinking") if key in case}
        rendered = tokenizer.apply_chat_template(
            for_template(case["messages"]), tools=case.get("tools"), chat_template=template, tokenize=False,
            add_generation_prompt=case.get("add_generation_prompt", True), **settings)
        ids = tokenizer.encode(rendered, add_special_tokens=False)
        lines.append(json.dumps({**case, "rendered": rendered, "ids": ids}, separators=(",", ":")))
    out = ROOT / "tests/data/goldens/chat_tools.json"
    out.write_text('{\n"versions": ' + json.dumps(versions) + ',\n"cases": [\n' + ",\n".join(lines) + "\n]\n}\n", encoding="utf-8")
    print(f"{out.name}: {len(lines)} cases")


if __name__ == "__main__":
    main()
