// A conversation as plain data, and its JSON form (the OpenAI one, with media given by path). The layout
// that the model reads is made of it by chat_template.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

enum class Role { system, developer, user, assistant, tool };
enum class PartKind { text, image, audio, video };

struct ChatPart {
    PartKind kind = PartKind::text;
    std::string text = {};
    int media_index = -1;  // media only: place in the caller's list of media
};

struct ChatMessage {
    Role role = Role::user;
    std::vector<ChatPart> parts = {};
    std::string reasoning = {};     // assistant only: the thought before the answer
    bool content_is_string = true;  // false: content was a list of parts, which the layout trims differently
};

// A message whose content is one string.
ChatMessage text_message(Role role, std::string text);

struct MediaReference {
    PartKind kind = PartKind::image;
    std::string path;
};

struct Conversation {
    std::vector<ChatMessage> messages;
    std::vector<MediaReference> media;  // ChatPart::media_index points here
    std::vector<std::string> notes;     // what stood there and is not obeyed
};

// Reads {"messages":[...]} or the bare list. Roles system, developer, user, assistant ("model" is the same);
// content a string or parts {"type":"text","text":..} and {"type":"image"|"audio"|"video","path":..}.
// Tools are not supported yet and give an error, as does a key that stands twice. Errors name the message by its index.
Result<Conversation> messages_from_json(std::string_view json);

}  // namespace lapidary::model
