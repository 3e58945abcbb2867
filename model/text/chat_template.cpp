// The layout (one turn per message, thoughts of the newest turn only; calls and their results share a turn):
//   <bos> [<|turn>system\n [<|think|>\n] system text [declarations] <turn|>\n] { <|turn>ROLE\n body <turn|>\n }
//   <|turn>model\n ...
// With thinking off the prompt ends in an empty thought, which is not optional for this model.
#include "model/text/chat_template.h"

#include <algorithm>
#include <optional>

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"
#include "model/text/prompt_writer.h"
#include "model/text/tool_markup.h"
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
        case Role::user:
        case Role::tool: break;
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
        : messages_(messages), options_(options), out_(options.allow_special) {
        for (size_t i = 0; i < messages.size(); ++i) {
            first_media_.push_back(media_);
            for (const Part& part : messages[i].parts) media_ += part.kind != PartKind::text;
            if (messages[i].role == Role::user) last_user_ = i;
        }
    }

    Result<RenderedPrompt> render() {
        out_.layout("<bos>");
        const bool own_system = is_system(messages_.front().role);
        LAP_ASSIGN(const JsonValue tools, parse_tools(options_.tools));
        if (own_system || options_.thinking || !tools.items.empty()) system_turn(own_system, tools);
        for (size_t i = own_system ? 1 : 0; i < messages_.size(); ++i)
            if (messages_[i].role != Role::tool) LAP_TRY(turn(i));
        if (options_.add_generation_prompt) generation_prompt();
        return out_.take();
    }

  private:
    // What stands last, in the words of the template.
    enum class Last { message, call, response };

    // The first turn: a string is trimmed; of a list each part is trimmed and followed by one space.
    void system_turn(bool own_system, const JsonValue& tools) {
        out_.layout("<|turn>system\n");
        if (options_.thinking) out_.layout("<|think|>\n");
        if (own_system) {
            const Message& message = messages_.front();
            for (const Part& part : message.parts) {
                out_.typed(trim(part.text_value));
                if (!message.plain_string) out_.layout(" ");
            }
        }
        write_declarations(out_, tools);
        out_.layout(kTurnEnd);
    }

    Result<void> turn(size_t index) {
        const Message& message = messages_[index];
        const bool is_answer = message.role == Role::assistant;
        last_ = Last::message;
        if (!is_answer || !after_answer_) {
            out_.layout("<|turn>");
            out_.layout(role_text(message.role));
            out_.layout("\n");
        }
        const bool kept = !last_user_ || index > *last_user_ ||
                          (options_.preserve_thinking && !message.tool_calls.empty());
        if (is_answer && kept && !message.reasoning.empty()) thought(message.reasoning);
        for (size_t i = 0; i < message.tool_calls.size(); ++i) LAP_TRY(call(index, i));
        LAP_TRY(responses(index));
        const size_t before = out_.text().size();
        for (size_t i = 0; i < message.parts.size(); ++i) part(index, i);
        close(index, out_.text().size() > before);
        after_answer_ = is_answer;
        return {};
    }

    Result<void> call(size_t index, size_t i) {
        const ToolCall& tool_call = messages_[index].tool_calls[i];
        LAP_ASSIGN(const JsonValue arguments,
                   parse_arguments(tool_call.arguments, concat("message ", index, ", arguments of call ", i)));
        write_call(out_, tool_call.name, arguments);
        last_ = Last::call;
        return {};
    }

    // Results in the message itself, or the tool messages behind it.
    Result<void> responses(size_t index) {
        const Message& message = messages_[index];
        for (const ToolResponse& response : message.tool_responses) {
            LAP_ASSIGN(const JsonValue value, parse_json(response.value, concat("message ", index, ", tool response")));
            write_response(out_, response.name.empty() ? "unknown" : response.name, value);
            last_ = Last::response;
        }
        if (!message.tool_responses.empty() || message.tool_calls.empty()) return {};
        for (size_t i = index + 1; i < messages_.size() && messages_[i].role == Role::tool; ++i) {
            LAP_TRY(result(messages_[i], i, message.tool_calls));
            last_ = Last::response;
        }
        return {};
    }

    Result<void> result(const Message& message, size_t index, std::span<const ToolCall> calls) {
        std::string name = message.name.empty() ? "unknown" : message.name;
        for (const ToolCall& tool_call : calls)
            if (tool_call.id == message.tool_call_id) name = tool_call.name;
        JsonValue value{JsonValue::Kind::string};
        if (message.value) {
            LAP_ASSIGN(value, parse_json(*message.value, concat("message ", index, ", value")));
        }
        for (const Part& part : message.parts) value.text += message.value ? "" : part.text_value;
        write_response(out_, name, value);
        for (size_t i = 0; i < message.parts.size(); ++i)
            if (message.parts[i].kind != PartKind::text) part(index, i);
        return {};
    }

    void part(size_t index, size_t i) {
        const Message& message = messages_[index];
        const Part& shown = message.parts[i];
        if (shown.kind == PartKind::text)
            return out_.typed(message.role == Role::assistant ? without_thoughts(shown.text_value)
                                                              : std::string(trim(shown.text_value)));
        const auto before = std::span(message.parts).first(i);
        const auto media = std::count_if(before.begin(), before.end(), [](const Part& p) { return p.kind != PartKind::text; });
        out_.media(shown.kind, placeholder(shown.kind), first_media_[index] + static_cast<int>(media));
    }

    // A call without a result leaves the turn to the tool; an answer goes on in the next one, and behind a result in
    // what the model is about to say.
    void close(size_t index, bool has_content) {
        const Message* next = nullptr;
        for (size_t i = index + 1; i < messages_.size() && !next; ++i)
            if (messages_[i].role != Role::tool) next = &messages_[i];
        const bool goes_on = messages_[index].role == Role::assistant && next && next->role == Role::assistant;
        if (last_ == Last::call) return out_.layout("<|tool_response>");
        if (goes_on || (last_ == Last::response && !has_content && !next)) return;
        out_.layout(kTurnEnd);
    }

    void generation_prompt() {
        const bool new_turn = out_.text().ends_with(kTurnEnd);
        if (new_turn) out_.layout(kModelTurn);
        if (last_ == Last::message && !options_.thinking) out_.layout(kEmptyThought);
        if (last_ == Last::response && options_.thinking) out_.layout("<|channel>thought\n");
    }

    void thought(std::string_view text) {
        out_.layout(kThoughtOpen);
        out_.layout("thought\n");
        out_.typed(text);
        out_.layout("\n");
        out_.layout(kThoughtClose);
    }

    std::span<const Message> messages_;
    RenderOptions options_;
    PromptWriter out_;
    int media_ = 0;
    std::vector<int> first_media_;     // of each message: its number among all
    std::optional<size_t> last_user_;  // index of that message
    bool after_answer_ = false;        // the last message that is none of a tool was an assistant's
    Last last_ = Last::message;
};

Result<void> check_utf8(std::string_view text, const std::string& where) {
    const size_t broken = find_invalid_utf8(text);
    if (broken == std::string_view::npos) return {};
    return Error{Errc::invalid_argument, concat(where, ": the byte at offset ", broken, " is not valid UTF-8"),
                 "convert the text to UTF-8"};
}

Result<void> check_texts(const Message& message, const std::string& where) {
    for (const Part& part : message.parts)
        if (part.kind == PartKind::text) LAP_TRY(check_utf8(part.text_value, where));
    LAP_TRY(check_utf8(message.reasoning, where + ", reasoning"));
    LAP_TRY(check_utf8(message.name, where + ", name"));
    for (const ToolCall& call : message.tool_calls) LAP_TRY(check_utf8(call.name, where + ", name of a call"));
    for (const ToolResponse& response : message.tool_responses) LAP_TRY(check_utf8(response.name, where + ", name"));
    return {};
}

}  // namespace

Result<void> check_messages(std::span<const Message> messages) {
    const auto refuse = [](std::string what, const char* hint) { return Error{Errc::invalid_argument, std::move(what), hint}; };
    if (messages.empty()) return refuse("chat: there are no messages", "give at least one user message");
    bool takes_results = false;  // tool messages that come now
    for (size_t i = 0; i < messages.size(); ++i) {
        const Message& message = messages[i];
        const std::string where = concat("message ", i);
        LAP_TRY(check_texts(message, where));
        const bool media = std::any_of(message.parts.begin(), message.parts.end(),
                                       [](const Part& part) { return part.kind != PartKind::text; });
        if (i == 0 && is_system(message.role) && media)
            return refuse(where + ": a first system message cannot hold media", "move the media to a user message");
        const bool tools = !message.tool_calls.empty() || !message.tool_responses.empty();
        if (tools && message.role != Role::assistant)
            return refuse(where + " has calls of tools, and is no assistant's", "give them to an assistant message");
        for (const ToolCall& call : message.tool_calls)
            if (call.name.empty()) return refuse(where + ": a call has no name", "name the tool");
        if (message.role == Role::tool && !takes_results)
            return refuse(where + " is the result of a tool that nobody called",
                          "put it behind an assistant message with tool_calls and without tool_responses");
        if (message.role != Role::tool) takes_results = !message.tool_calls.empty() && message.tool_responses.empty();
    }
    return {};
}

Result<RenderedPrompt> render_chat(std::span<const Message> messages, RenderOptions options) {
    LAP_TRY(check_messages(messages));
    return Renderer(messages, options).render();
}

}  // namespace lapidary::model
