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
    std::string_view tools = {};     // as in Conversation
    bool preserve_thinking = false;  // the same
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

// Which turns may stand where: an error names the message.
Result<void> check_messages(std::span<const Message> messages);
// Media are numbered as they stand in the messages; what a tool shows is printed before the text of the message that
// called it. One thing is not as the template prints it: where that text ended the turn, a new one begins, without which
// nobody would answer.
Result<RenderedPrompt> render_chat(std::span<const Message> messages, RenderOptions options = {});

}  // namespace lapidary::model
