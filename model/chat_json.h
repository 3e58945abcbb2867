// What a chat says beside its session, as the text that a saved one carries.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/chat.h"

namespace lapidary::model {

struct ChatRecord {
    ChatOptions options;             // without tools
    std::vector<Message> messages;
    std::vector<uint32_t> turns;     // as in Chat
};

// Media in memory stand in it as base64, files by their absolute paths. What is no UTF-8 is refused.
Result<std::string> chat_to_json(const ChatOptions& options, std::span<const Message> messages, std::span<const uint32_t> turns);
// The same messages again, field by field: bad_session_file where the text is none of the above.
Result<ChatRecord> chat_from_json(std::string_view json);

}  // namespace lapidary::model
