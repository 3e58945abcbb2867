// The library's side of the opaque classes of the public header: makes them and reaches what they hold.
#pragma once

#include <memory>
#include <utility>

#include "lapidary/lapidary.h"

namespace lapidary::model {

struct Access {
    static Engine engine(std::shared_ptr<EngineState> state) { return Engine(std::move(state)); }
    static Session session(std::unique_ptr<SessionState> state);  // session.cpp
    static Prompt prompt(std::shared_ptr<const PromptData> data) { return Prompt(std::move(data)); }

    static const EngineState& state(const Engine& engine) { return *engine.state_; }
    static std::shared_ptr<EngineState> shared(const Engine& engine) { return engine.state_; }
    static const SessionState& state(const Session& session) { return *session.state_; }
    static SessionState& state(Session& session) { return *session.state_; }
    static const PromptData& data(const Prompt& prompt) { return *prompt.data_; }
};

}  // namespace lapidary::model
