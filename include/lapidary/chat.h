// Talking to the model: roles, media, thoughts and tools on top of one Session. Same rules as lapidary.h.
//
//   lapidary::Chat chat(*engine, *engine->new_session(), {.system = "Be brief."});
//   auto reply = chat.send(lapidary::Part::text("Hi!"), {}, [](const lapidary::Token& t) { ... });
#pragma once

#include "lapidary/lapidary.h"

namespace lapidary {

// What the model may call. `call` gets the arguments as JSON text of an object and returns JSON text of any value; its Error becomes
// the tool's answer, {"error": message}, so that the model can go on. It runs in the thread that called send.
struct Tool {
    std::string name = {};
    std::string description = {};
    std::string parameters = {};  // JSON Schema of the arguments, as text; empty: there are none
    std::function<Result<std::string>(const std::string& arguments)> call = {};  // empty: send returns with the calls of that reply
};

struct ChatOptions {
    std::string system = {};      // empty: the model's own, ModelInfo::system
    std::vector<Tool> tools = {};
    bool think = false;
    int max_rounds = 8;           // of tools in one send, after which their calls are returned
    bool hold_tools = false;      // GenerateOptions::hold_tools
};

// A conversation that keeps its messages and renders them anew for each turn; what was computed is kept (Session::replace, for which
// EngineOptions::conversations has memory planned).
// One thread at a time, like its session. While it answers, sinks and tools may look at it, save and fork it; what would change it is
// invalid_argument then, and it must not be moved or destroyed.
class Chat {
  public:
    Chat(const Engine& engine, Session session, ChatOptions options = {});

    // Adds the message, has the model answer, runs the tools that it calls, and has it go on until it answers in words: the
    // reply that is returned is the last one, its usage and timings its own, but broken_calls, which nobody answers, of all rounds. A tool
    // that the model made up is answered by an error of that kind; what a tool returns that is no JSON ends the call with one.
    // Calls that were returned are answered by messages of the role tool, one for each, or by one with several tool_responses,
    // in their order. An error, Flow::discard, or what a sink or tool throws leaves the conversation as it was before the call (the
    // session then holds what it has in common with the new one); a cancelled reply, or one cut by max_tokens, stays as far as it
    // got, which may be nothing; one that is cancelled while media are read is an error. Of GenerateOptions, `progress` hears
    // of those media too, and tools and hold_tools are the chat's own.
    Result<Reply> send(Message message, const GenerateOptions& options = {}, const TokenSink& sink = {});
    Result<Reply> send(Part part, const GenerateOptions& options = {}, const TokenSink& sink = {});  // a user's message
    // Has the last user's message answered anew: invalid_argument without one.
    Result<Reply> regenerate(const GenerateOptions& options = {}, const TokenSink& sink = {});
    // Forgets the last user's message and everything behind it: invalid_argument without one.
    Result<void> undo();
    Result<void> clear();                          // every message but the system prompt

    const std::vector<Message>& history() const;   // without the system prompt
    ChatOptions& options();                        // what is changed counts from the next turn on
    const Session& session() const;
    uint32_t context() const;                      // tokens that the session holds

    // Messages and session, in one file (Session::save). Media in memory are part of it; those in files stay where they are, are named by
    // absolute paths, and are read again by the next turn, which sees what they hold then.
    Result<void> save(const std::filesystem::path& file) const;
    // Tools are not saved: those of `options`, whose other fields give way to the file's. bad_session_file as for Session::restore.
    static Result<Chat> load(const Engine& engine, const std::filesystem::path& file, ChatOptions options = {});
    // Both go on from here, and neither sees the other.
    Result<Chat> fork() const;

    Chat(Chat&&) noexcept;
    Chat& operator=(Chat&&) noexcept;
    ~Chat();

  private:
    struct State;
    explicit Chat(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace lapidary
