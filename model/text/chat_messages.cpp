// The JSON form of a conversation (the OpenAI one, with media given by path), for conversation_from_json of
// tools.h. Keys that mean nothing here are named, not obeyed; a key that stands twice is refused.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/describe.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary {
namespace {

using nlohmann::json;

Error invalid(std::string message, std::string hint) {
    return {Errc::invalid_argument, std::move(message), std::move(hint)};
}

Error tools_unsupported(const std::string& where) {
    return invalid(where + ": tools are not supported yet", "leave out tools, tool_calls and tool messages");
}

// Keys with a value that are none of `known`; each kind of place names a key once.
void note_others(const json& object, const std::string& place, std::initializer_list<std::string_view> known,
                 std::vector<std::string>& unused) {
    for (const auto& [key, value] : object.items()) {
        if (value.is_null() || std::find(known.begin(), known.end(), key) != known.end()) continue;
        std::string name = in_double_quotes(key) + place;
        if (std::find(unused.begin(), unused.end(), name) == unused.end()) unused.push_back(std::move(name));
    }
}

bool present(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && !found->is_null();
}

std::optional<Role> role_from(const std::string& name) {
    if (name == "system") return Role::system;
    if (name == "developer") return Role::developer;
    if (name == "user") return Role::user;
    if (name == "assistant" || name == "model") return Role::assistant;
    return std::nullopt;
}

std::optional<Part::Kind> media_kind_from(const std::string& type) {
    if (type == "image") return Part::Kind::image;
    if (type == "audio") return Part::Kind::audio;
    if (type == "video") return Part::Kind::video;
    return std::nullopt;
}

std::string string_at(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Which frames of a video: "frames" or "fps", ours beside the OpenAI form.
Result<void> read_frames(const json& part, const std::string& where, VideoFrames& frames) {
    if (present(part, "frames")) {
        const json& count = part["frames"];
        if (!count.is_number_integer() || count < 1 || count > 1 << 16)
            return invalid(where + ": \"frames\" is not a whole number from 1 to 65536", "leave it out for the model's own number");
        frames.count = count.get<int32_t>();
    }
    if (present(part, "fps")) {
        if (!part["fps"].is_number() || !(part["fps"].get<double>() > 0))
            return invalid(where + ": \"fps\" is not a number above 0", "give frames per second, such as 1");
        frames.fps = part["fps"].get<double>();
    }
    if (frames.count && frames.fps) return invalid(where + ": \"frames\" and \"fps\" exclude each other", "leave one of them out");
    return {};
}

Result<Part> read_part(const json& part, const std::string& where) {
    if (!part.is_object())
        return invalid(where + " is not an object", "write {\"type\":\"text\",\"text\":\"...\"}");
    const std::string type = string_at(part, "type");
    if (type == "text") {
        if (!part.contains("text") || !part["text"].is_string())
            return invalid(where + " has no string \"text\"", "write {\"type\":\"text\",\"text\":\"...\"}");
        return Part{Part::Kind::text, part["text"].get<std::string>()};
    }
    const auto kind = media_kind_from(type);
    if (!kind)
        return invalid(where + " has the type " + in_double_quotes(type),
                       type == "image_url" || type == "input_image"
                           ? "write {\"type\":\"image\",\"path\":\"FILE\"}: pictures are read from files"
                       : type == "input_audio"
                           ? "write {\"type\":\"audio\",\"path\":\"FILE\"}: recordings are read from files"
                           : "the types are text, image, audio and video");
    const std::string path = string_at(part, "path");
    if (path.empty()) return invalid(where + " has no \"path\"", "write {\"type\":\"" + type + "\",\"path\":\"FILE\"}");
    Part medium{*kind, {}, path};
    if (*kind == Part::Kind::video) LAP_TRY(read_frames(part, where, medium.frames));
    return medium;
}

Result<void> read_content(const json& item, const std::string& where, Message& message) {
    message.plain_string = true;
    if (!present(item, "content")) {
        if (message.role == Role::assistant) return {};  // an answer may be empty
        return invalid(where + " has no \"content\"", "give it a string or a list of parts");
    }
    const json& content = item["content"];
    if (content.is_string()) {
        message.parts.push_back({Part::Kind::text, content.get<std::string>()});
        return {};
    }
    if (!content.is_array())
        return invalid(where + ": \"content\" is neither a string nor a list", "use one of them");
    message.plain_string = false;
    for (size_t i = 0; i < content.size(); ++i) {
        LAP_ASSIGN(Part part, read_part(content[i], concat(where, ", part ", i)));
        message.parts.push_back(std::move(part));
    }
    return {};
}

Result<Message> read_message(const json& item, size_t index) {
    const std::string where = concat("message ", index);
    if (!item.is_object())
        return invalid(where + " is not an object", "write {\"role\":\"user\",\"content\":\"...\"}");
    const std::string role_name = string_at(item, "role");
    if (role_name == "tool") return tools_unsupported(where);
    for (const char* key : {"tool_calls", "tool_responses", "tool_call_id"})
        if (present(item, key) && !item[key].empty()) return tools_unsupported(where);
    const auto role = role_from(role_name);
    if (!role)
        return invalid(where + " has the role " + in_double_quotes(role_name),
                       "the roles are system, developer, user and assistant");
    Message message;
    message.role = *role;
    for (const char* key : {"reasoning", "reasoning_content"}) {
        if (!present(item, key) || !message.reasoning.empty()) continue;
        if (!item[key].is_string())
            return invalid(where + ": \"" + key + "\" is not a string", "give it a string");
        message.reasoning = item[key].get<std::string>();
    }
    LAP_TRY(read_content(item, where, message));
    return message;
}

void note_unused(const json& message, std::vector<std::string>& unused) {
    note_others(message, " of a message",
                {"role", "content", "reasoning", "reasoning_content", "tool_calls", "tool_responses", "tool_call_id"}, unused);
    const json& content = message.contains("content") ? message["content"] : json();
    if (!content.is_array()) return;
    for (const json& part : content) {
        if (part["type"] == "video")
            note_others(part, " of a part", {"type", "path", "frames", "fps"}, unused);
        else
            note_others(part, " of a part", {"type", part["type"] == "text" ? "text" : "path"}, unused);
    }
}

// Which of two values was meant, nobody knows.
Result<json> parse(std::string_view text) {
    std::vector<std::set<std::string>> keys;  // of every open object
    std::string twice;
    const auto watch = [&](int, json::parse_event_t event, json& parsed) {
        if (event == json::parse_event_t::object_start) keys.emplace_back();
        if (event == json::parse_event_t::object_end) keys.pop_back();
        if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second && twice.empty())
            twice = parsed.get<std::string>();
        return true;
    };
    try {
        json root = json::parse(text.begin(), text.end(), watch);
        if (twice.empty()) return root;
        return invalid("messages: the key " + in_double_quotes(twice) + " stands twice in one object",
                       "leave one of them out");
    } catch (const json::parse_error& error) {
        return invalid(concat("messages: not valid JSON at byte ", error.byte), "check the text with a JSON tool");
    } catch (const json::out_of_range&) {  // what the parser throws for 1e999
        return invalid("messages: a number in the JSON is too large", "leave such numbers out");
    }
}

}  // namespace

Result<Conversation> conversation_from_json(std::string_view text) {
    LAP_ASSIGN(const json root, parse(text));
    if (root.is_object() && present(root, "tools") && !root["tools"].empty())
        return tools_unsupported("messages");
    const bool wrapped = root.is_object() && root.contains("messages");
    const json& list = wrapped ? root["messages"] : root;
    if (!list.is_array() || list.empty())
        return invalid("messages: there is no list of messages", "write {\"messages\":[{\"role\":\"user\",...}]}");
    Conversation conversation;
    std::vector<std::string> unused;
    if (wrapped) note_others(root, "", {"messages", "tools"}, unused);
    for (size_t i = 0; i < list.size(); ++i) {
        LAP_ASSIGN(Message message, read_message(list[i], i));
        conversation.messages.push_back(std::move(message));
        note_unused(list[i], unused);
    }
    if (!unused.empty()) conversation.notes.push_back("messages: not used: " + short_list(unused));
    return conversation;
}

}  // namespace lapidary
