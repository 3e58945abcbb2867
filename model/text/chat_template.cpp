// The layout (one turn per message, the newest thought only):
//   <bos> [<|turn>system\n [<|think|>\n] system text <turn|>\n] { <|turn>ROLE\n body <turn|>\n }
//   <|turn>model\n ...
// With thinking off the prompt ends in an empty thought, which is not optional for this model.
#include "model/text/chat_template.h"

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"
#include "model/text/white_space.h"

namespace lapidary::model {
namespace {

constexpr std::string_view kTurnEnd = "<turn|>\n";
constexpr std::string_view kModelTurn = "<|turn>model\n";
constexpr std::string_view kThoughtOpen = "<|channel>";
constexpr std::string_view kThoughtClose = "<channel|>";
constexpr std::string_view kEmptyThought = "<|channel>thought\n<channel|>";

std::string_view role_text(Role role) {
    switch (role) {
        case Role::system: return "system";
        case Role::developer: return "developer";
        case Role::assistant: return "model";
        case Role::user: break;
    }
    return "user";
}

std::string_view placeholder(PartKind kind) {
    switch (kind) {
        case PartKind::image: return "<|image|>";
        case PartKind::audio: return "<|audio|>";
        case PartKind::video: return "<|video|>";
        case PartKind::text: break;
    }
    return "";
}

// An answer without its thoughts: every <|channel>...<channel|> goes, an unclosed one to the end, and so
// does a lone <channel|>.
std::string without_thoughts(std::string_view text) {
    std::string kept;
    while (true) {
        const size_t close = text.find(kThoughtClose);
        const std::string_view stretch = text.substr(0, close);
        kept.append(stretch.substr(0, stretch.find(kThoughtOpen)));
        if (close == std::string_view::npos) break;
        text.remove_prefix(close + kThoughtClose.size());
    }
    return std::string(trim(kept));
}

bool is_system(Role role) { return role == Role::system || role == Role::developer; }

class Renderer {
  public:
    Renderer(std::span<const Message> messages, RenderOptions options)
        : messages_(messages), options_(options) {}

    RenderedPrompt render() {
        layout("<bos>");
        const bool own_system = is_system(messages_.front().role);
        if (own_system || options_.thinking) system_turn(own_system);
        for (size_t i = own_system ? 1 : 0; i < messages_.size(); ++i) turn(i);
        if (options_.add_generation_prompt) {
            layout(kModelTurn);
            if (!options_.thinking) layout(kEmptyThought);
        }
        return std::move(prompt_);
    }

  private:
    void layout(std::string_view text) { append(text, true); }
    void typed(std::string_view text) { append(text, options_.allow_special); }

    void append(std::string_view text, bool parse_special) {
        if (text.empty()) return;
        prompt_.text.append(text);
        auto& pieces = prompt_.pieces;
        const bool joins = !pieces.empty() && pieces.back().kind == PartKind::text &&
                           pieces.back().parse_special == parse_special;
        if (!joins) pieces.push_back({PartKind::text, {}, parse_special, -1});
        pieces.back().text.append(text);
    }

    void media(const Part& part) {
        const std::string_view mark = placeholder(part.kind);
        prompt_.text.append(mark);
        prompt_.pieces.push_back({part.kind, std::string(mark), false, media_++});
    }

    // The first turn: a string is trimmed; of a list each part is trimmed and followed by one space.
    void system_turn(bool own_system) {
        layout("<|turn>system\n");
        if (options_.thinking) layout("<|think|>\n");
        if (own_system) {
            const Message& message = messages_.front();
            for (const Part& part : message.parts) {
                typed(trim(part.text_value));
                if (!message.plain_string) layout(" ");
            }
        }
        layout(kTurnEnd);
    }

    void turn(size_t index) {
        const Message& message = messages_[index];
        const bool is_answer = message.role == Role::assistant;
        const auto answer_at = [&](size_t i) { return messages_[i].role == Role::assistant; };
        const bool continues = is_answer && index > 0 && answer_at(index - 1);
        const bool goes_on = is_answer && index + 1 < messages_.size() && answer_at(index + 1);
        if (!continues) {
            layout("<|turn>");
            layout(role_text(message.role));
            layout("\n");
        }
        if (is_answer && !message.reasoning.empty() && after_last_user(index)) thought(message.reasoning);
        for (const Part& part : message.parts) {
            if (part.kind != PartKind::text) {
                media(part);
            } else if (is_answer) {
                typed(without_thoughts(part.text_value));
            } else {
                typed(trim(part.text_value));
            }
        }
        if (!goes_on) layout(kTurnEnd);
    }

    void thought(std::string_view text) {
        layout(kThoughtOpen);
        layout("thought\n");
        typed(text);
        layout("\n");
        layout(kThoughtClose);
    }

    bool after_last_user(size_t index) const {
        for (size_t i = index + 1; i < messages_.size(); ++i)
            if (messages_[i].role == Role::user) return false;
        return true;
    }

    std::span<const Message> messages_;
    RenderOptions options_;
    RenderedPrompt prompt_;
    int media_ = 0;  // that stand in it
};

Result<void> check_utf8(std::string_view text, const std::string& where) {
    const size_t broken = find_invalid_utf8(text);
    if (broken == std::string_view::npos) return {};
    return Error{Errc::invalid_argument, concat(where, ": the byte at offset ", broken, " is not valid UTF-8"),
                 "convert the text to UTF-8"};
}

Result<void> check_messages(std::span<const Message> messages) {
    if (messages.empty())
        return Error{Errc::invalid_argument, "chat: there are no messages", "give at least one user message"};
    for (size_t i = 0; i < messages.size(); ++i) {
        const std::string where = concat("message ", i);
        for (const Part& part : messages[i].parts) {
            if (part.kind == PartKind::text)
                LAP_TRY(check_utf8(part.text_value, where));
            else if (i == 0 && is_system(messages[i].role))
                return Error{Errc::invalid_argument, where + ": a first system message cannot hold media",
                             "move the media to a user message"};
        }
        LAP_TRY(check_utf8(messages[i].reasoning, where + ", reasoning"));
    }
    return {};
}

}  // namespace

Result<RenderedPrompt> render_chat(std::span<const Message> messages, RenderOptions options) {
    LAP_TRY(check_messages(messages));
    return Renderer(messages, options).render();
}

}  // namespace lapidary::model
