// The JSON form of a conversation (the OpenAI one, with media given by path), for conversation_from_json of
// tools.h. Keys that mean nothing here are named, not obeyed; a key that stands twice is refused.
#include <algorithm>
#include <charconv>
#include <optional>

#include "base/describe.h"
#include "base/try.h"
#include "lapidary/tools.h"
#include "model/text/chat_template.h"
#include "model/text/json_value.h"
#include "model/text/tool_markup.h"

namespace lapidary {
namespace {

using model::JsonValue;
using Kind = JsonValue::Kind;

Error invalid(std::string message, std::string hint) {
    return {Errc::invalid_argument, std::move(message), std::move(hint)};
}

// Keys with a value that are none of `known`; each kind of place names a key once.
void note_others(const JsonValue& object, const std::string& place, std::initializer_list<std::string_view> known,
                 std::vector<std::string>& unused) {
    for (size_t i = 0; i < object.keys.size(); ++i) {
        const std::string& key = object.keys[i];
        if (object.items[i].is(Kind::null) || std::find(known.begin(), known.end(), key) != known.end()) continue;
        std::string name = in_double_quotes(key) + place;
        if (std::find(unused.begin(), unused.end(), name) == unused.end()) unused.push_back(std::move(name));
    }
}

std::optional<Role> role_from(const std::string& name) {
    if (name == "system") return Role::system;
    if (name == "developer") return Role::developer;
    if (name == "user") return Role::user;
    if (name == "assistant" || name == "model") return Role::assistant;
    if (name == "tool") return Role::tool;
    return std::nullopt;
}

std::optional<Part::Kind> media_kind_from(const std::string& type) {
    if (type == "image") return Part::Kind::image;
    if (type == "audio") return Part::Kind::audio;
    if (type == "video") return Part::Kind::video;
    return std::nullopt;
}

// Which frames of a video: "frames" or "fps", ours beside the OpenAI form.
Result<void> read_frames(const JsonValue& part, const std::string& where, VideoFrames& frames) {
    if (const JsonValue* count = part.find("frames")) {
        int32_t number = 0;
        const char* end = count->text.data() + count->text.size();
        const bool whole = count->is(Kind::number) && std::from_chars(count->text.data(), end, number).ptr == end;
        if (!whole || number < 1 || number > 1 << 16)
            return invalid(where + ": \"frames\" is not a whole number from 1 to 65536", "leave it out for the model's own number");
        frames.count = number;
    }
    if (const JsonValue* rate = part.find("fps")) {
        double number = 0;
        const char* end = rate->text.data() + rate->text.size();
        const bool real = rate->is(Kind::number) && std::from_chars(rate->text.data(), end, number).ptr == end;
        if (!real || !(number > 0))
            return invalid(where + ": \"fps\" is not a number above 0", "give frames per second, such as 1");
        frames.fps = number;
    }
    if (frames.count && frames.fps) return invalid(where + ": \"frames\" and \"fps\" exclude each other", "leave one of them out");
    return {};
}

Result<Part> read_part(const JsonValue& part, const std::string& where) {
    if (!part.is(Kind::object))
        return invalid(where + " is not an object", "write {\"type\":\"text\",\"text\":\"...\"}");
    const std::string type = part.string_at("type");
    if (type == "text") {
        const JsonValue* text = part.find("text");
        if (!text || !text->is(Kind::string))
            return invalid(where + " has no string \"text\"", "write {\"type\":\"text\",\"text\":\"...\"}");
        return Part{Part::Kind::text, text->text};
    }
    const auto kind = media_kind_from(type);
    if (!kind)
        return invalid(where + " has the type " + in_double_quotes(type),
                       type == "image_url" || type == "input_image"
                           ? "write {\"type\":\"image\",\"path\":\"FILE\"}: pictures are read from files"
                       : type == "input_audio"
                           ? "write {\"type\":\"audio\",\"path\":\"FILE\"}: recordings are read from files"
                           : "the types are text, image, audio and video");
    const std::string path = part.string_at("path");
    if (path.empty()) return invalid(where + " has no \"path\"", "write {\"type\":\"" + type + "\",\"path\":\"FILE\"}");
    Part medium{*kind, {}, path};
    if (*kind == Part::Kind::video) LAP_TRY(read_frames(part, where, medium.frames));
    return medium;
}

// A tool may give any value: strings and lists of parts are what the OpenAI form has, the others go to the model as they are.
Result<void> read_content(const JsonValue& item, const std::string& where, Message& message) {
    message.plain_string = true;
    const JsonValue* content = item.find("content");
    if (content && content->is(Kind::string)) {
        message.parts.push_back({Part::Kind::text, content->text});
        return {};
    }
    if (content && content->is(Kind::list)) {
        message.plain_string = false;
        for (size_t i = 0; i < content->items.size(); ++i) {
            LAP_ASSIGN(Part part, read_part(content->items[i], concat(where, ", part ", i)));
            message.parts.push_back(std::move(part));
        }
        return {};
    }
    if (message.role == Role::tool) {
        message.value = content ? content->to_json() : "null";
        return {};
    }
    if (content) return invalid(where + ": \"content\" is neither a string nor a list", "use one of them");
    if (message.role == Role::assistant) return {};  // an answer may be empty
    return invalid(where + " has no \"content\"", "give it a string or a list of parts");
}

// [{"id":"...","function":{"name":"...","arguments":"{...}"}}]; arguments may be an object, too.
Result<ToolCall> read_call(const JsonValue& item, const std::string& where) {
    const JsonValue* function = item.find("function");
    if (!function || function->string_at("name").empty())
        return invalid(where + " has no function with a name",
                       R"(write {"id":"...","type":"function","function":{"name":"...","arguments":"{...}"}})");
    ToolCall call{item.string_at("id"), function->string_at("name")};
    if (const JsonValue* arguments = function->find("arguments"))
        call.arguments = arguments->is(Kind::string) ? arguments->text : arguments->to_json();
    LAP_TRY(model::parse_arguments(call.arguments, where + ", arguments"));
    return call;
}

Result<void> read_tools(const JsonValue& item, const std::string& where, Message& message) {
    for (const char* key : {"tool_calls", "tool_responses"}) {
        const JsonValue* list = item.find(key);
        if (list && !list->is(Kind::list)) return invalid(concat(where, ": \"", key, "\" is not a list"), "give it a list");
        for (size_t i = 0; list && i < list->items.size(); ++i) {
            const JsonValue& one = list->items[i];
            if (key == std::string_view("tool_calls")) {
                LAP_ASSIGN(ToolCall call, read_call(one, concat(where, ", call ", i)));
                message.tool_calls.push_back(std::move(call));
            } else {
                const JsonValue* response = one.find("response");
                message.tool_responses.push_back({one.string_at("name"), response ? response->to_json() : "null"});
            }
        }
    }
    message.tool_call_id = item.string_at("tool_call_id");
    if (message.role == Role::tool) message.name = item.string_at("name");
    return {};
}

Result<Message> read_message(const JsonValue& item, size_t index) {
    const std::string where = concat("message ", index);
    if (!item.is(Kind::object))
        return invalid(where + " is not an object", "write {\"role\":\"user\",\"content\":\"...\"}");
    const std::string role_name = item.string_at("role");
    const auto role = role_from(role_name);
    if (!role)
        return invalid(where + " has the role " + in_double_quotes(role_name),
                       "the roles are system, developer, user, assistant and tool");
    Message message;
    message.role = *role;
    for (const char* key : {"reasoning", "reasoning_content"}) {
        const JsonValue* reasoning = item.find(key);
        if (!reasoning || !message.reasoning.empty()) continue;
        if (!reasoning->is(Kind::string))
            return invalid(where + ": \"" + key + "\" is not a string", "give it a string");
        message.reasoning = reasoning->text;
    }
    LAP_TRY(read_content(item, where, message));
    LAP_TRY(read_tools(item, where, message));
    return message;
}

void note_unused(const JsonValue& message, Role role, std::vector<std::string>& unused) {
    note_others(message, " of a message",
                {"role", "content", "reasoning", "reasoning_content", "tool_calls", "tool_responses", "tool_call_id",
                 role == Role::tool ? "name" : "role"},
                unused);
    const JsonValue* content = message.find("content");
    if (!content || !content->is(Kind::list)) return;
    for (const JsonValue& part : content->items) {
        const std::string type = part.string_at("type");
        if (type == "video")
            note_others(part, " of a part", {"type", "path", "frames", "fps"}, unused);
        else
            note_others(part, " of a part", {"type", type == "text" ? "text" : "path"}, unused);
    }
}

Result<std::string> checked_tools(const JsonValue& tools) {
    std::string json = tools.to_json();
    LAP_TRY(model::parse_tools(json));
    return tools.items.empty() ? std::string() : json;
}

}  // namespace

Result<std::string> tools_from_json(std::string_view text) {
    LAP_ASSIGN(const JsonValue root, model::parse_json(text, "tools"));
    const JsonValue* wrapped = root.find("tools");
    return checked_tools(wrapped ? *wrapped : root);
}

Result<Conversation> conversation_from_json(std::string_view text) {
    LAP_ASSIGN(const JsonValue root, model::parse_json(text, "messages"));
    const JsonValue* wrapped = root.find("messages");
    const JsonValue& list = wrapped ? *wrapped : root;
    if (!list.is(Kind::list) || list.items.empty())
        return invalid("messages: there is no list of messages", "write {\"messages\":[{\"role\":\"user\",...}]}");
    Conversation conversation;
    std::vector<std::string> unused;
    if (wrapped) note_others(root, "", {"messages", "tools", "preserve_thinking"}, unused);
    for (size_t i = 0; i < list.items.size(); ++i) {
        LAP_ASSIGN(Message message, read_message(list.items[i], i));
        note_unused(list.items[i], message.role, unused);
        conversation.messages.push_back(std::move(message));
    }
    LAP_TRY(model::check_messages(conversation.messages));
    if (const JsonValue* tools = root.find("tools")) {
        LAP_ASSIGN(conversation.tools, checked_tools(*tools));
    }
    const JsonValue* preserve = root.find("preserve_thinking");
    conversation.preserve_thinking = preserve && preserve->text == "true";
    if (!unused.empty()) conversation.notes.push_back("messages: not used: " + short_list(unused));
    return conversation;
}

}  // namespace lapidary
