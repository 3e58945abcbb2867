#!/usr/bin/env python3
"""Makes tests/data/goldens/ with the real transformers library. Nothing else in the repository needs Python packages.

    python3 -m venv goldens-venv
    goldens-venv/bin/pip install torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 \
        numpy==2.4.6 pillow==13.0.0 safetensors jinja2
    goldens-venv/bin/pip install --no-deps torchvision==0.28.0 av==18.1.0   # av and the ffmpeg program: part video
    goldens-venv/bin/python scripts/make_goldens.py [part ...] [--template FILE] [--vocabulary FILE]

Parts (default: all): checkpoints hidden processor tokenizer chat video. CPU builds of torch do; the whole run takes about a minute.
On one machine a second run gives the same bytes; another CPU may differ in the last bits of the logits.
Two inputs are not in this repository, and what needs them keeps its committed results when they are not given:
  --template    the canonical Gemma 4 chat template (model/renderers/testdata/gemma4_31b_chat_template.jinja2 of
                ollama/ollama): needed for the part `chat`
  --vocabulary  tokenizer.json (or .xz) of the real 262,144-piece vocabulary: for tokenizer_real.json
"""
import argparse
from pathlib import Path

from goldens import environment  # first: it prepares the imports of the others
from goldens import cases, chat, checkpoints, media, processor, tokenizer


def make_checkpoints(_):
    media.write()
    for name in checkpoints.SHAPES:
        checkpoints.write(name)
        for case in cases.write(name):
            print(f"{name} {case['name']}: {case['prompt_tokens']} tokens, cached - whole "
                  f"{case['cached_minus_whole_max']:.1e}, margin {case['smallest_greedy_margin']:.1e}")


def make_hidden(_):
    for name in checkpoints.SHAPES:
        print(f"{name}: {cases.write_hidden(name)}")


def make_processor(_):
    media.write()
    print(f"processor: {processor.write()}")


def make_tokenizer(arguments):
    print(f"tokenizer: {tokenizer.write_tiny()}")
    if arguments.vocabulary:
        print(f"tokenizer_real: {tokenizer.write_real(arguments.vocabulary)}")
    else:
        print("tokenizer_real: kept as committed, no --vocabulary given")


def make_chat(arguments):
    if arguments.template:
        print(f"chat: {chat.write(arguments.template)}")
    else:
        print("chat: kept as committed, no --template given")


def make_video(_):
    from goldens import video  # which alone needs PyAV
    print(f"video: {video.write()}")


PARTS = {"checkpoints": make_checkpoints, "hidden": make_hidden, "processor": make_processor,
         "tokenizer": make_tokenizer, "chat": make_chat,
         "video": make_video}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help="one of " + ", ".join(PARTS))
    parser.add_argument("--template", type=Path)
    parser.add_argument("--vocabulary", type=Path)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    print(", ".join(f"{name} {version}" for name, version in environment.versions().items()))
    for name in arguments.parts or PARTS:
        PARTS[name](arguments)


if __name__ == "__main__":
    main()
