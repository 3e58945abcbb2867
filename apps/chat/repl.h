// The loop of a chat: reads an entry, obeys it or has it answered, tells what went wrong, and goes on.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "apps/chat/commands.h"
#include "apps/chat/line_reader.h"
#include "apps/chat/outbox.h"
#include "apps/chat/settings.h"
#include "apps/cli/verbs.h"
#include "apps/common/results.h"
#include "lapidary/chat.h"

namespace lapidary::cli {

class Repl {
  public:
    // `inputs`: what was read to begin with, and nothing that is saved may replace.
    Repl(Program& program, const Engine& engine, Chat chat, ChatSettings settings, Inputs inputs, bool at_terminal)
        : program_(program), console_(program.console), engine_(engine), chat_(std::move(chat)),
          settings_(std::move(settings)), inputs_(std::move(inputs)), at_terminal_(at_terminal) {}

    Outbox& outbox() { return outbox_; }
    const Chat& chat() const { return chat_; }
    // Answers what was typed, or asked for on the command line.
    void say(const std::string& text);
    // To the end of the input; answers the exit code. In a pipe that is the one of the first error.
    Result<int> run(LineReader& reader);

  private:
    using Ask = std::function<Result<Reply>(const GenerateOptions&, const TokenSink&)>;

    std::string prompt() const;
    void take_entry(LineReader& reader, const Typed& typed);
    Result<void> obey(const Order& order);
    nlohmann::ordered_json outcome(const Order& order);
    std::optional<Errc> answer(const Ask& ask);  // why nothing was said
    void after_reply(const Reply& reply, uint64_t computed);
    Result<void> save(const std::string& file);
    Result<void> load(const std::string& file);
    Result<void> set(const std::string& words);
    void show(const std::string& page, const char* key, const nlohmann::ordered_json& json);
    void show_all();
    void note(const std::string& line) const;
    void fail(const Error& error);
    void leave(int code);

    Program& program_;
    Console& console_;
    const Engine& engine_;
    Chat chat_;
    ChatSettings settings_;
    Inputs inputs_;
    bool at_terminal_;  // somebody sits there; else the input is a pipe or file
    Outbox outbox_;
    int first_error_ = 0;
    std::optional<int> leave_;
};

}  // namespace lapidary::cli
