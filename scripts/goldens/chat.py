"""Conversations rendered by the canonical chat template, which is read from outside and not kept here.

The list of conversations is in conversations.py; rendering is transformers' own (Jinja with trim_blocks and
lstrip_blocks). Messages are stored as OpenAI clients send them: tool arguments as a JSON string, parsed before
the template sees them.
"""
import copy
import json

from transformers.utils.chat_template_utils import render_jinja_template

from .conversations import conversations
from .environment import OUT, crc32, write_json


def _parsed_arguments(messages):
    messages = copy.deepcopy(messages)
    for message in messages:
        for call in message.get("tool_calls") or []:
            if isinstance(call["function"].get("arguments"), str):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


def _render(template, conversation):
    rendered, _ = render_jinja_template(
        [_parsed_arguments(conversation["messages"])], tools=conversation.get("tools"), chat_template=template,
        add_generation_prompt=conversation["add_generation_prompt"], bos_token="<bos>",
        enable_thinking=conversation["enable_thinking"], preserve_thinking=conversation.get("preserve_thinking", False))
    return rendered[0]


def write(path):
    """Writes chat.json; returns what it holds, in words."""
    template = path.read_text(encoding="utf-8")
    rendered = []
    for conversation in conversations():
        rendered.append({**conversation, "rendered": _render(template, conversation)})
    write_json(OUT / "chat.json", {
        "template": "Gemma 4 canonical chat template, published 2026-07-09 "
                    "(model/renderers/testdata/gemma4_31b_chat_template.jinja2 of ollama/ollama)",
        "template_crc32": crc32(bytearray(template.encode()))}, conversations=rendered)
    return f"{len(rendered)} renderings"
