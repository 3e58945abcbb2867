// Collects the pieces of a prompt: text of the layout, in which added tokens are meant as such, and text that somebody
// wrote, in which they are only with RenderOptions::allow_special. For the chat template and its tools.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "model/text/chat_template.h"

namespace lapidary::model {

class PromptWriter {
  public:
    explicit PromptWriter(bool allow_special) : allow_special_(allow_special) {}

    void layout(std::string_view text) { append(text, true); }
    void typed(std::string_view text) { append(text, allow_special_); }
    void media(PartKind kind, std::string_view placeholder, int index) {
        prompt_.text.append(placeholder);
        prompt_.pieces.push_back({kind, std::string(placeholder), false, index});
    }
    const std::string& text() const { return prompt_.text; }
    RenderedPrompt take() { return std::move(prompt_); }

  private:
    void append(std::string_view text, bool parse_special) {
        if (text.empty()) return;
        prompt_.text.append(text);
        auto& pieces = prompt_.pieces;
        const bool joins =
            !pieces.empty() && pieces.back().kind == PartKind::text && pieces.back().parse_special == parse_special;
        if (!joins) pieces.push_back({PartKind::text, {}, parse_special, -1});
        pieces.back().text.append(text);
    }

    bool allow_special_;
    RenderedPrompt prompt_;
};

}  // namespace lapidary::model
