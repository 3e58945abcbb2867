// Sessions in files: the sequence, its keys and values, and a note of whoever saves them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "model/session_state.h"

namespace lapidary::model {

// `note`: bytes of the caller's, which lie in the same file; the messages of a chat as JSON.
Result<void> save_session(const SessionState& session, const std::filesystem::path& file, std::string_view note);

struct SavedSession {
    std::unique_ptr<SessionState> session;
    std::string note;
};
Result<SavedSession> restore_session(std::shared_ptr<EngineState> engine, const std::filesystem::path& file);

}  // namespace lapidary::model
