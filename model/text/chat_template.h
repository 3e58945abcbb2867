// Gemma 4's chat layout, written natively (no Jinja): messages to the pieces of a prompt. Text the caller
// did not write stays apart from text the user typed, so that a typed `<turn|>` need not become a control
// token. prompt_tokens.h makes ids of the pieces.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lapidary/lapidary.h"

namespace lapidary::model {

using PartKind = Part::Kind;

struct RenderOptions {
    bool thinking = false;
    bool add_generation_prompt = true;
    // Whether control tokens spelled in message texts become control tokens. The reference implementation
    // does that; here it is off unless asked for, because it lets any pasted text forge turns.
    bool allow_special = false;
};

struct RenderedPiece {
    PartKind kind = PartKind::text;
    std::string text;            // of media: the placeholder, such as `<|image|>`
    bool parse_special = false;  // text only: added tokens in it are meant as such
    int media_index = -1;        // media only: its number among them
};

struct RenderedPrompt {
    std::vector<RenderedPiece> pieces;
    std::string text;  // all of it, as the template prints it
};

Result<RenderedPrompt> render_chat(std::span<const Message> messages, RenderOptions options = {});

}  // namespace lapidary::model
