// A conversation over one session: its turns, the rounds of tools within them, and how they are taken back.
#include "lapidary/chat.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <set>
#include <string_view>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/access.h"
#include "model/chat_json.h"
#include "model/session_file.h"
#include "model/text/json_value.h"

namespace lapidary {

struct Chat::State {
    Engine engine;
    Session session;
    ChatOptions options;
    std::vector<Message> messages = {};
    // Of every user's message: so much of the sequence is older. Any of them may be rewound to.
    std::vector<uint32_t> turns = {};
    bool answering = false;  // a call is under way, whose sinks and tools may call back

    class Turn;
    Result<void> check_idle() const;

    void add(Message message);
    void add_results(Message message);
    Conversation conversation(const std::string& tools) const;
    Result<Reply> answer(Turn& turn, const GenerateOptions& given, const TokenSink& sink);
    bool wants_tools(const Reply& reply, const std::vector<Tool>& tools, int round) const;
    Result<bool> run_tools(const std::vector<ToolCall>& calls, const std::vector<Tool>& tools, const std::stop_token& cancel);
    size_t last_user() const;  // messages.size(): there is none
    void go_back(uint32_t position);
};

// What one call changes, taken back at its end unless it is kept: whatever ends it, an exception of a sink or tool included.
class Chat::State::Turn {
  public:
    // The messages from `first` on make room for others.
    Turn(State& chat, size_t first) : chat_(chat), first_(first), turns_(chat.turns) {
        const auto begin = chat.messages.begin() + static_cast<std::ptrdiff_t>(first);
        before_.assign(std::make_move_iterator(begin), std::make_move_iterator(chat.messages.end()));
        chat.messages.erase(begin, chat.messages.end());
        chat.answering = true;
    }
    ~Turn() {
        chat_.answering = false;
        if (kept_) return;
        chat_.messages.erase(chat_.messages.begin() + static_cast<std::ptrdiff_t>(first_), chat_.messages.end());
        std::move(before_.begin(), before_.end(), std::back_inserter(chat_.messages));
        chat_.turns = std::move(turns_);
        for (uint32_t& turn : chat_.turns) turn = std::min(turn, common_);
        chat_.go_back(common_);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // The session begins with so much of what it held.
    void parted_at(uint32_t position) {
        common_ = std::min(common_, position);
        for (uint32_t& turn : chat_.turns) turn = std::min(turn, common_);
    }
    void keep() { kept_ = true; }

  private:
    State& chat_;
    size_t first_;
    std::vector<uint32_t> turns_;
    std::vector<Message> before_;
    uint32_t common_ = UINT32_MAX;
    bool kept_ = false;
};

namespace {

Result<std::string> declarations(const std::vector<Tool>& tools) {
    std::string json;
    for (const Tool& tool : tools) {
        json += concat(json.empty() ? "[" : ",", R"({"type":"function","function":{"name":)", model::json_string(tool.name),
                       R"(,"description":)", model::json_string(tool.description));
        if (!tool.parameters.empty()) {
            LAP_ASSIGN(const auto schema, model::parse_json(tool.parameters, "the parameters of the tool " + in_quotes(tool.name)));
            json += R"(,"parameters":)" + schema.to_json();
        }
        json += "}}";
    }
    return json.empty() ? json : json + "]";
}

Result<void> check_tools(const std::vector<Tool>& tools) {
    std::set<std::string_view> names;
    for (const Tool& tool : tools) {
        if (!names.insert(tool.name).second)
            return Error{Errc::invalid_argument, concat("there are two tools called ", in_quotes(tool.name)), "give each a name of its own"};
        LAP_TRY(check_text(tool.name, "the name of a tool"));
        LAP_TRY(check_text(tool.description, "the description of the tool " + in_quotes(tool.name)));
    }
    return {};
}

std::string error_answer(std::string_view message) {
    return R"({"error":)" + model::json_string(check_text(message, "") ? message : "the tool failed") + "}";
}

// What the model is told of a call, as JSON.
Result<std::string> result_of(const ToolCall& call, const std::vector<Tool>& tools) {
    const auto tool = std::find_if(tools.begin(), tools.end(), [&](const Tool& t) { return t.name == call.name; });
    if (tool == tools.end()) {
        std::vector<std::string> names;
        for (const Tool& known : tools) names.push_back(known.name);
        return error_answer(concat("there is no tool ", call.name, "; the tools are ", short_list(names, names.size())));
    }
    const Result<std::string> value = tool->call(call.arguments.empty() ? "{}" : call.arguments);
    if (!value) return error_answer(value.error().message);
    if (const auto read = model::parse_json(*value, concat("the tool ", in_quotes(call.name), " answered with what is not JSON")); !read)
        return Error{Errc::invalid_argument, read.error().message, "return JSON text; a text stands in double quotes there"};
    return *value;
}

Message message_of(const Reply& reply) {
    Message message{.role = Role::assistant, .reasoning = reply.thinking, .plain_string = true, .tool_calls = reply.tool_calls};
    if (!reply.text.empty()) message.parts.push_back(Part::text(reply.text));
    return message;
}

Error no_turn(const char* what) {
    return {Errc::invalid_argument, concat("there is nothing to ", what, ": the chat has no user's message"), "send one first"};
}

}  // namespace

Result<void> Chat::State::check_idle() const {
    if (!answering) return {};
    return Error{Errc::invalid_argument, "a sink or tool of the chat changes it while it answers", "do so when the call has returned"};
}

size_t Chat::State::last_user() const {
    const auto found = std::find_if(messages.rbegin(), messages.rend(), [](const Message& m) { return m.role == Role::user; });
    return found == messages.rend() ? messages.size() : static_cast<size_t>(messages.rend() - found) - 1;
}

void Chat::State::go_back(uint32_t position) {
    if (position < session.position() && !session.rewind(position)) (void)session.rewind(0).has_value();
}

void Chat::State::add(Message message) {
    if (message.role == Role::tool) return add_results(std::move(message));
    if (message.role == Role::user) turns.push_back(session.position());
    messages.push_back(std::move(message));
}

// Results belong to the calls in their order, unless they say which they answer; the template wants a message for each.
void Chat::State::add_results(Message message) {
    auto responses = std::exchange(message.tool_responses, {});
    const auto asked = std::find_if(messages.rbegin(), messages.rend(), [](const Message& m) { return m.role != Role::tool; });
    const bool any = asked != messages.rend();
    auto answered = static_cast<size_t>(asked - messages.rbegin());
    const auto add_one = [&](Message one) {
        const size_t index = answered++;
        if (any && one.tool_call_id.empty() && one.name.empty()) {
            const auto& calls = messages[messages.size() - 1 - index].tool_calls;
            if (index < calls.size()) {
                one.tool_call_id = calls[index].id;
                one.name = calls[index].name;
            }
        }
        messages.push_back(std::move(one));
    };
    if (responses.empty()) return add_one(std::move(message));
    for (ToolResponse& response : responses) {
        Message one{.role = Role::tool};
        one.value = std::move(response.value);
        add_one(std::move(one));
    }
}

Conversation Chat::State::conversation(const std::string& tools) const {
    Conversation out;
    const std::string& system = options.system.empty() ? engine.info().system : options.system;
    if (!system.empty()) out.messages.push_back({.role = Role::system, .parts = {Part::text(system)}, .plain_string = true});
    out.messages.insert(out.messages.end(), messages.begin(), messages.end());
    out.think = options.think;
    out.tools = tools;
    return out;
}

bool Chat::State::wants_tools(const Reply& reply, const std::vector<Tool>& tools, int round) const {
    const auto only_declared = [&tools](const ToolCall& call) {
        return std::any_of(tools.begin(), tools.end(), [&](const Tool& t) { return t.name == call.name && !t.call; });
    };
    return reply.finish == FinishReason::tool_calls && round < options.max_rounds && !tools.empty() &&
           std::none_of(reply.tool_calls.begin(), reply.tool_calls.end(), only_declared);
}

// False: stopped on request, in front of one of them.
Result<bool> Chat::State::run_tools(const std::vector<ToolCall>& calls, const std::vector<Tool>& tools, const std::stop_token& cancel) {
    for (const ToolCall& call : calls) {
        if (cancel.stop_requested()) return false;
        Message result{.role = Role::tool, .tool_call_id = call.id, .name = call.name};
        LAP_ASSIGN(result.value, result_of(call, tools));
        messages.push_back(std::move(result));
    }
    return true;
}

Result<Reply> Chat::State::answer(Turn& turn, const GenerateOptions& given, const TokenSink& sink) {
    const std::vector<Tool> tools = options.tools;  // one of them may change these
    LAP_TRY(check_tools(tools));
    GenerateOptions how = given;
    LAP_ASSIGN(how.tools, declarations(tools));
    how.hold_tools = options.hold_tools && !how.tools.empty();
    bool discarded = false;
    TokenSink watched;
    if (sink)
        watched = [&](const Token& token) {
            const Flow flow = sink(token);
            discarded = discarded || flow == Flow::discard;
            return flow;
        };
    std::vector<std::string> broken;
    for (int round = 0;; ++round) {
        LAP_ASSIGN(const Prompt prompt, engine.render(conversation(how.tools), how.progress));
        LAP_ASSIGN(const uint32_t common, session.replace(prompt));
        turn.parted_at(common);
        LAP_ASSIGN(Reply reply, session.generate(how, watched));
        if (discarded) return reply;
        if (!reply.tokens.empty()) messages.push_back(message_of(reply));
        broken.insert(broken.end(), reply.broken_calls.begin(), reply.broken_calls.end());
        bool more = wants_tools(reply, tools, round);
        if (more) {
            LAP_ASSIGN(more, run_tools(reply.tool_calls, tools, given.cancel));
            if (!more) reply.finish = FinishReason::cancelled;
        }
        if (more) continue;
        reply.broken_calls = std::move(broken);
        turn.keep();
        return reply;
    }
}

// ---- the public side -------------------------------------------------------------------------------

Chat::Chat(const Engine& engine, Session session, ChatOptions options)
    : state_(new State{engine, std::move(session), std::move(options)}) {}
Chat::Chat(std::unique_ptr<State> state) : state_(std::move(state)) {}
Chat::Chat(Chat&&) noexcept = default;
Chat& Chat::operator=(Chat&&) noexcept = default;
Chat::~Chat() = default;

const std::vector<Message>& Chat::history() const { return state_->messages; }
ChatOptions& Chat::options() { return state_->options; }
const Session& Chat::session() const { return state_->session; }
uint32_t Chat::context() const { return state_->session.position(); }

Result<Reply> Chat::send(Message message, const GenerateOptions& options, const TokenSink& sink) try {
    LAP_TRY(state_->check_idle());
    State::Turn turn(*state_, state_->messages.size());
    state_->add(std::move(message));
    return state_->answer(turn, options, sink);
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<Reply> Chat::send(Part part, const GenerateOptions& options, const TokenSink& sink) {
    Message message{.role = Role::user};
    message.plain_string = part.kind == Part::Kind::text;
    message.parts.push_back(std::move(part));
    return send(std::move(message), options, sink);
}

Result<Reply> Chat::regenerate(const GenerateOptions& options, const TokenSink& sink) try {
    LAP_TRY(state_->check_idle());
    const size_t user = state_->last_user();
    if (user == state_->messages.size()) return no_turn("answer anew");
    State::Turn turn(*state_, user + 1);
    return state_->answer(turn, options, sink);
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<void> Chat::undo() {
    LAP_TRY(state_->check_idle());
    const size_t user = state_->last_user();
    if (user == state_->messages.size()) return no_turn("undo");
    state_->messages.resize(user);
    state_->go_back(state_->turns.back());
    state_->turns.pop_back();
    return {};
}

Result<void> Chat::clear() {
    LAP_TRY(state_->check_idle());
    state_->messages.clear();
    state_->turns.clear();
    state_->go_back(0);
    return {};
}

Result<Chat> Chat::fork() const try {
    LAP_ASSIGN(Session session, state_->session.fork());
    return Chat(std::unique_ptr<State>(new State{state_->engine, std::move(session), state_->options, state_->messages, state_->turns}));
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<void> Chat::save(const std::filesystem::path& file) const try {
    LAP_ASSIGN(const std::string note, model::chat_to_json(state_->options, state_->messages, state_->turns));
    return model::save_session(model::Access::state(state_->session), file, note);
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<Chat> Chat::load(const Engine& engine, const std::filesystem::path& file, ChatOptions options) try {
    LAP_ASSIGN(model::SavedSession saved, model::restore_session(model::Access::shared(engine), file));
    LAP_ASSIGN(model::ChatRecord record, model::chat_from_json(saved.note));
    record.options.tools = std::move(options.tools);
    std::unique_ptr<State> state(new State{engine, model::Access::session(std::move(saved.session)), std::move(record.options),
                                           std::move(record.messages), std::move(record.turns)});
    for (uint32_t& turn : state->turns) turn = std::min(turn, state->session.position());
    return Chat(std::move(state));
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
