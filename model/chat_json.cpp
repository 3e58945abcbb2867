// Every field of every message, so that a chat that was loaded goes on as the saved one would have. Not the OpenAI form of
// conversation_from_json, which knows no media in memory and drops what it has no name for.
#include "model/chat_json.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/chat_template.h"

namespace lapidary::model {
namespace {

using ChatJson = nlohmann::ordered_json;

constexpr int kChatVersion = 1;
constexpr std::array<const char*, 5> kRoleNames = {"system", "developer", "user", "assistant", "tool"};
constexpr std::array<const char*, 4> kKindNames = {"text", "image", "audio", "video"};
constexpr std::string_view kDigits64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::span<const uint8_t> bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t here = std::min<size_t>(3, bytes.size() - i);
        uint32_t group = 0;
        for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < here ? bytes[i + k] : 0u);
        for (size_t k = 0; k < 4; ++k) out += k <= here ? kDigits64[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

bool from_base64(std::string_view text, std::vector<uint8_t>& out) {
    if (text.size() % 4 != 0) return false;
    out.reserve(text.size() / 4 * 3);
    for (size_t i = 0; i < text.size(); i += 4) {
        const std::string_view four = text.substr(i, 4);
        const size_t digits = std::min(four.find('='), four.size());
        if (digits < 2 || (digits < 4 && (i + 4 < text.size() || four.find_first_not_of('=', digits) != four.npos))) return false;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; ++k) {
            const size_t digit = k < digits ? kDigits64.find(four[k]) : 0;
            if (digit == kDigits64.npos) return false;
            group = group << 6 | static_cast<uint32_t>(digit);
        }
        for (size_t k = 0; k + 1 < digits; ++k) out.push_back(static_cast<uint8_t>(group >> (16 - 8 * k)));
    }
    return true;
}

// ---- to JSON: fields that say nothing are left out -------------------------------------------------

std::span<const uint8_t> bytes_of_samples(const std::vector<float>& samples) {
    return {reinterpret_cast<const uint8_t*>(samples.data()), samples.size() * sizeof(float)};
}

// The name as it is where there is no current folder any more.
std::string absolute_name(const std::filesystem::path& file) {
    std::error_code failed;
    const std::filesystem::path absolute = std::filesystem::absolute(file, failed);
    return (failed ? file : absolute.lexically_normal()).string();
}

ChatJson part_to_json(const Part& part) {
    ChatJson json = {{"kind", kKindNames[static_cast<size_t>(part.kind)]}};
    if (!part.text_value.empty()) json["text"] = part.text_value;
    if (!part.path.empty()) json["path"] = absolute_name(part.path);
    if (!part.rgb.empty()) json["rgb"] = to_base64(part.rgb);
    if (part.width != 0) json["width"] = part.width;
    if (part.height != 0) json["height"] = part.height;
    if (!part.samples.empty()) json["samples"] = to_base64(bytes_of_samples(part.samples));
    json["sample_rate"] = part.sample_rate;
    if (!part.encoded.empty()) json["encoded"] = to_base64(part.encoded);
    if (part.frames.count) json["frames"] = *part.frames.count;
    if (part.frames.fps) json["fps"] = *part.frames.fps;
    return json;
}

ChatJson message_to_json(const Message& message) {
    ChatJson json = {{"role", kRoleNames[static_cast<size_t>(message.role)]}, {"parts", ChatJson::array()}};
    for (const Part& part : message.parts) json["parts"].push_back(part_to_json(part));
    if (!message.reasoning.empty()) json["reasoning"] = message.reasoning;
    if (message.plain_string) json["plain_string"] = true;
    for (const ToolCall& call : message.tool_calls)
        json["tool_calls"].push_back({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}});
    for (const ToolResponse& response : message.tool_responses)
        json["tool_responses"].push_back({{"name", response.name}, {"value", response.value}});
    if (!message.tool_call_id.empty()) json["tool_call_id"] = message.tool_call_id;
    if (!message.name.empty()) json["name"] = message.name;
    if (message.value) json["value"] = *message.value;
    return json;
}

// ---- from JSON: nlohmann throws where a field is missing or of another kind ------------------------

// Of a damaged file; caught below.
struct BadField {
    std::string what;
};

template <size_t n>
size_t index_of(const std::array<const char*, n>& names, const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw BadField{in_quotes(name) + " is not known"};
    return static_cast<size_t>(found - names.begin());
}

std::vector<uint8_t> bytes_at(const ChatJson& json, const char* key) {
    std::vector<uint8_t> bytes;
    if (!from_base64(json.value(key, std::string()), bytes)) throw BadField{std::string(key) + " is not base64"};
    return bytes;
}

Part part_from_json(const ChatJson& json) {
    Part part;
    part.kind = static_cast<Part::Kind>(index_of(kKindNames, json.at("kind").get<std::string>()));
    part.text_value = json.value("text", std::string());
    part.path = json.value("path", std::string());
    part.rgb = bytes_at(json, "rgb");
    part.width = json.value("width", 0);
    part.height = json.value("height", 0);
    const std::vector<uint8_t> samples = bytes_at(json, "samples");
    if (samples.size() % sizeof(float) != 0) throw BadField{"samples are cut short"};
    part.samples.resize(samples.size() / sizeof(float));
    if (!samples.empty()) std::memcpy(part.samples.data(), samples.data(), samples.size());
    part.sample_rate = json.at("sample_rate").get<int32_t>();
    part.encoded = bytes_at(json, "encoded");
    if (json.contains("frames")) part.frames.count = json["frames"].get<int32_t>();
    if (json.contains("fps")) part.frames.fps = json["fps"].get<double>();
    return part;
}

Message message_from_json(const ChatJson& json) {
    Message message;
    message.role = static_cast<Role>(index_of(kRoleNames, json.at("role").get<std::string>()));
    for (const ChatJson& part : json.at("parts")) message.parts.push_back(part_from_json(part));
    message.reasoning = json.value("reasoning", std::string());
    message.plain_string = json.value("plain_string", false);
    for (const ChatJson& call : json.value("tool_calls", ChatJson::array()))
        message.tool_calls.push_back({call.at("id").get<std::string>(), call.at("name").get<std::string>(),
                                      call.at("arguments").get<std::string>()});
    for (const ChatJson& response : json.value("tool_responses", ChatJson::array()))
        message.tool_responses.push_back({response.at("name").get<std::string>(), response.at("value").get<std::string>()});
    message.tool_call_id = json.value("tool_call_id", std::string());
    message.name = json.value("name", std::string());
    if (json.contains("value")) message.value = json["value"].get<std::string>();
    return message;
}

ChatRecord record_from_json(const ChatJson& json) {
    if (json.at("chat").get<int>() != kChatVersion) throw BadField{"it is of another version of this library"};
    ChatRecord record;
    record.options.system = json.at("system").get<std::string>();
    record.options.think = json.at("think").get<bool>();
    record.options.max_rounds = json.at("max_rounds").get<int>();
    record.options.hold_tools = json.at("hold_tools").get<bool>();
    for (const ChatJson& message : json.at("messages")) record.messages.push_back(message_from_json(message));
    record.turns = json.at("turns").get<std::vector<uint32_t>>();
    const auto users = std::count_if(record.messages.begin(), record.messages.end(), [](const Message& m) { return m.role == Role::user; });
    if (static_cast<size_t>(users) != record.turns.size()) throw BadField{"its turns are not those of its messages"};
    return record;
}

Error damaged_chat(const std::string& what) {
    return {Errc::bad_session_file, "the saved chat is damaged: " + what, "save it again from where it came"};
}

}  // namespace

Result<std::string> chat_to_json(const ChatOptions& options, std::span<const Message> messages, std::span<const uint32_t> turns) try {
    ChatJson json = {{"chat", kChatVersion},       {"system", options.system},         {"think", options.think},
                     {"max_rounds", options.max_rounds}, {"hold_tools", options.hold_tools}, {"turns", turns},
                     {"messages", ChatJson::array()}};
    for (const Message& message : messages) json["messages"].push_back(message_to_json(message));
    return json.dump();
} catch (const nlohmann::json::exception&) {
    return Error{Errc::invalid_argument, "the chat cannot be saved: one of its texts or paths is not valid UTF-8",
                 "convert it to UTF-8, or rename the file"};
}

Result<ChatRecord> chat_from_json(std::string_view text) try {
    if (text.empty())
        return Error{Errc::bad_session_file, "the file holds a session, and no chat", "Session::restore reads it"};
    const ChatJson json = ChatJson::parse(text);
    ChatRecord record = record_from_json(json);
    if (record.messages.empty()) return record;
    if (const Result<void> checked = check_messages(record.messages); !checked) return damaged_chat(checked.error().message);
    return record;
} catch (const nlohmann::json::exception& problem) {
    return damaged_chat(in_quotes(problem.what()));
} catch (const BadField& field) {
    return damaged_chat(field.what);
}

}  // namespace lapidary::model
