// A session in a file: its ids, media rows, keys and values, and the way back to where the last reply began. The rows of each layer lie in
// the order of their positions, so that it does not matter which devices had them. Private to model/.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "model/session_state.h"

namespace lapidary::model {

// As Session::save. `note`: bytes of the caller's that go along.
Result<void> save_session(const SessionState& session, const std::filesystem::path& file, std::string_view note);

struct SavedSession {
    std::unique_ptr<SessionState> session;
    std::string note;
};
// As Session::restore.
Result<SavedSession> restore_session(std::shared_ptr<EngineState> engine, const std::filesystem::path& file);

}  // namespace lapidary::model
