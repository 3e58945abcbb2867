// Chats: turns that are answered, undone and answered anew, rounds of tools, and what errors leave behind.
#include "lapidary/chat.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

const Engine& chat_engine() {
    static const Engine engine = unwrap(open_engine({.model = kTiny, .context = 1024, .threads = 2, .precise = true}));
    return engine;
}

GenerateOptions greedy_chat(uint32_t max_tokens = 100) {
    GenerateOptions o;
    o.sampling.temperature = 0.0f;
    o.max_tokens = max_tokens;
    return o;
}

Chat new_chat(ChatOptions options = {}) { return Chat(chat_engine(), unwrap(chat_engine().new_session()), std::move(options)); }

std::string say(Chat& chat, const std::string& text) { return unwrap(chat.send(Part::text(text), greedy_chat())).text; }

constexpr const char* kCity = R"({"type":"object","properties":{"city":{"type":"string","description":"City name"}},"required":["city"]})";

using Call = std::function<Result<std::string>(const std::string&)>;
ChatOptions with_weather(Call call, std::string name = "get_weather") {
    ChatOptions options;
    options.tools.push_back({std::move(name), "Get the current weather for a city.", kCity, std::move(call)});
    return options;
}
Part paris() { return Part::text("What is the weather in Paris?"); }

// What stands in the chat, one letter per message.
std::string roles_of(const Chat& chat) {
    std::string out;
    for (const Message& m : chat.history()) out += m.role == Role::user ? 'u' : m.role == Role::tool ? 't' : 'a';
    return out;
}

}  // namespace

TEST_CASE("chat: turns see what was said, and compute what is new") {
    Chat chat = new_chat({.system = "You are a helpful assistant."});
    say(chat, "My name is Emma.");
    const Reply second = unwrap(chat.send(Part::text("What is my name?"), greedy_chat()));
    CHECK(second.text == "Your name is Emma.");
    CHECK(second.usage.cached > 20);
    CHECK(second.usage.prompt + second.usage.generated == chat.context());
    CHECK(roles_of(chat) == "uaua");
    CHECK(chat.history()[3].parts[0].text_value == second.text);
    // The same as a prompt of all that was said.
    Conversation whole{chat.history()};
    whole.messages.pop_back();
    whole.messages.insert(whole.messages.begin(), {.role = Role::system, .parts = {Part::text("You are a helpful assistant.")}, .plain_string = true});
    Session fresh = unwrap(chat_engine().new_session());
    unwrap(fresh.append(unwrap(chat_engine().render(whole))));
    CHECK(unwrap(fresh.generate(greedy_chat())).tokens == second.tokens);
}

TEST_CASE("chat: pictures stay in the conversation") {
    Chat chat = new_chat();
    Message message{.role = Role::user, .parts = {Part::image(kTiny / "samples/image_2.png"), Part::text("What do you see?")}};
    CHECK(unwrap(chat.send(message, greedy_chat())).text == "A pink square and a yellow triangle.");
    const Reply second = unwrap(chat.send(Part::text("What color is the triangle?"), greedy_chat()));
    CHECK(second.text.find("yellow") != std::string::npos);
    CHECK(second.usage.cached > 60);
}

TEST_CASE("chat: a tool is called, its value goes to the model as a value, and the answer comes back") {
    std::vector<std::string> asked;
    Chat chat = new_chat(with_weather([&](const std::string& arguments) -> Result<std::string> {
        asked.push_back(arguments);
        return std::string(R"({"weather":"sunny","temperature":21})");
    }));
    std::vector<std::string> told;
    const Reply reply = unwrap(chat.send(paris(), greedy_chat(), [&](const Token& t) {
        if (t.tool_call) told.push_back(t.tool_call->name);
        return Flow::go;
    }));
    CHECK(asked == std::vector<std::string>{R"({"city":"Paris"})"});
    CHECK(told == std::vector<std::string>{"get_weather"});
    CHECK(reply.finish == FinishReason::stop);
    CHECK(reply.tool_calls.empty());
    CHECK(reply.text.find("21") != std::string::npos);
    CHECK(reply.text.find("sunny") != std::string::npos);
    CHECK(reply.usage.cached > 50);  // of the round before
    CHECK(roles_of(chat) == "uata");
    CHECK(chat.history()[1].tool_calls.at(0).id == chat.history()[2].tool_call_id);
    CHECK(chat.history()[2].value == R"({"weather":"sunny","temperature":21})");
}

TEST_CASE("chat: what goes wrong with a tool is told to the model or to the caller") {
    const auto answer = [](Call call) {
        Chat chat = new_chat(with_weather(std::move(call)));
        unwrap(chat.send(paris(), greedy_chat()));
        REQUIRE(chat.history().size() == 4);
        return chat.history()[2].value.value_or("");
    };
    CHECK(answer([](const std::string&) { return Result<std::string>(Error{Errc::io_error, "no \"network\""}); }) == R"({"error":"no \"network\""})");
    CHECK(answer([](const std::string&) { return Result<std::string>(Error{Errc::io_error, "\xff"}); }) == R"({"error":"the tool failed"})");
    Chat chat = new_chat(with_weather([](const std::string&) { return Result<std::string>("sunny"); }));
    const auto refused = chat.send(paris(), greedy_chat());
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::invalid_argument);
    CHECK(refused.error().message.starts_with("the tool 'get_weather' answered with what is not JSON"));
    CHECK(chat.history().empty());
    CHECK(chat.context() == 0);
}

TEST_CASE("chat: a tool that nobody declared gets an answer that says so") {
    ChatOptions options = with_weather([](const std::string&) { return Result<std::string>("1"); }, "get_time");
    Chat chat = new_chat(options);
    const Reply reply = unwrap(chat.send(paris(), greedy_chat()));
    REQUIRE(chat.history().size() >= 3);
    REQUIRE(chat.history()[1].tool_calls.size() == 1);
    CHECK(chat.history()[1].tool_calls[0].name == "get_weather");
    CHECK(chat.history()[2].value == R"({"error":"there is no tool get_weather; the tools are get_time"})");
}

TEST_CASE("chat: calls are held to the tools' schemas") {
    ChatOptions options = with_weather([](const std::string&) { return Result<std::string>("1"); });
    options.tools[0].parameters = R"({"type":"object","properties":{"city":{"type":"string","enum":["London","Rome"]}},"required":["city"]})";
    options.hold_tools = true;
    Chat chat = new_chat(options);
    unwrap(chat.send(paris(), greedy_chat()));
    REQUIRE(chat.history().size() >= 3);
    REQUIRE(chat.history()[1].tool_calls.size() == 1);
    const std::string arguments = chat.history()[1].tool_calls[0].arguments;
    CHECK((arguments == R"({"city":"London"})" || arguments == R"({"city":"Rome"})"));
}

TEST_CASE("chat: calls are returned where a tool cannot be called, and their results are sent") {
    Chat chat = new_chat(with_weather({}));
    const Reply call = unwrap(chat.send(paris(), greedy_chat()));
    CHECK(call.finish == FinishReason::tool_calls);
    REQUIRE(call.tool_calls.size() == 1);
    CHECK(roles_of(chat) == "ua");
    Chat twin = unwrap(chat.fork());
    const Reply answer = unwrap(chat.send({.role = Role::tool, .value = R"({"weather":"rainy","temperature":9})"}, greedy_chat()));
    CHECK(answer.text.find("rainy") != std::string::npos);
    CHECK(roles_of(chat) == "uata");
    CHECK(chat.history()[2].name == "get_weather");
    CHECK(chat.history()[2].tool_call_id == call.tool_calls[0].id);
    const Reply same = unwrap(twin.send({.role = Role::tool, .tool_responses = {{"", R"({"weather":"rainy","temperature":9})"}}}, greedy_chat()));
    CHECK(same.tokens == answer.tokens);
    CHECK(roles_of(twin) == "uata");
    // Two where nobody asked.
    Chat unasked = new_chat({});
    CHECK(unasked.send({.role = Role::tool, .tool_responses = {{"", "1"}, {"", "2"}}}, greedy_chat()).error().code == Errc::invalid_argument);
    CHECK(unasked.history().empty());
    // So are those behind the last round.
    ChatOptions options = with_weather([](const std::string&) -> Result<std::string> { throw std::logic_error("not to be called"); });
    options.max_rounds = 0;
    Chat none = new_chat(options);
    CHECK(unwrap(none.send(paris(), greedy_chat())).tool_calls.size() == 1);
}

TEST_CASE("chat: a call that was cut is returned as the model wrote it") {
    Chat chat = new_chat(with_weather([](const std::string&) -> Result<std::string> { throw std::logic_error("not to be called"); }));
    const Reply cut = unwrap(chat.send(paris(), greedy_chat(12)));
    CHECK(cut.finish == FinishReason::length);
    CHECK(cut.broken_calls.size() == 1);
    CHECK(roles_of(chat) == "ua");
    CHECK(chat.history()[1].tool_calls.empty());
}

TEST_CASE("chat: an error, a discarded reply and an exception leave the chat as it was") {
    Chat chat = new_chat();
    say(chat, "My name is Emma.");
    const auto unchanged = [&] {
        CHECK(roles_of(chat) == "ua");
        Chat twin = unwrap(chat.fork());
        CHECK(say(twin, "What is my name?") == "Your name is Emma.");
    };
    const auto missing = chat.send(Part::image(kTiny / "no such file.png"), greedy_chat());
    REQUIRE(!missing);
    CHECK(missing.error().code == Errc::not_found);
    unchanged();
    const Reply gone = unwrap(chat.send(Part::text("Who are you?"), greedy_chat(), [](const Token&) { return Flow::discard; }));
    CHECK(gone.finish == FinishReason::cancelled);
    unchanged();
    CHECK_THROWS_AS((void)chat.send(Part::text("Who are you?"), greedy_chat(), [](const Token&) -> Flow { throw 7; }), int);
    unchanged();
    std::string words;
    for (int i = 0; i < 300; ++i) words += "Tell me a story of the moon. ";
    const auto full = chat.send(Part::text(words), greedy_chat());
    REQUIRE(!full);
    CHECK(full.error().code == Errc::context_full);
    unchanged();
    GenerateOptions wrong = greedy_chat();
    wrong.sampling.temperature = -1.0f;
    CHECK(!chat.send(Part::text("Who are you?"), wrong));
    CHECK(!chat.regenerate(wrong));
    unchanged();
    chat.options().tools = with_weather([](const std::string&) -> Result<std::string> { throw std::logic_error("broken"); }).tools;
    CHECK_THROWS_AS((void)chat.send(paris(), greedy_chat()), std::logic_error);
    chat.options().tools = {{.name = "f", .parameters = "{"}};
    const auto unreadable = chat.send(paris(), greedy_chat());
    REQUIRE(!unreadable);
    CHECK(unreadable.error().message == "the parameters of the tool 'f': not valid JSON at byte 2");
    chat.options().tools.clear();
    unchanged();
    // The context behind an error is what both have in common.
    CHECK(chat.context() > 0);
    CHECK(chat.context() < 40);
}

TEST_CASE("chat: while it answers, tools and sinks may look, save and fork, and change nothing") {
    const ScratchFolder folder;
    Chat chat = new_chat();
    say(chat, "Who are you?");
    const auto refused = [](const auto& result) {
        CHECK(result.error().code == Errc::invalid_argument);
        CHECK(result.error().message == "a sink or tool of the chat changes it while it answers");
    };
    int looked = 0;
    const auto meddle = [&] {
        if (looked++ > 0) return;
        refused(chat.undo());
        refused(chat.clear());
        refused(chat.regenerate());
        refused(chat.send(Part::text("Hi")));
        CHECK(chat.history().size() > 2);
        CHECK(chat.context() > 0);
    };
    chat.options() = with_weather([&](const std::string&) -> Result<std::string> {
        meddle();
        unwrap(chat.save(folder.path() / "chat"));
        chat.options().tools.clear();  // counts from the next turn on
        return std::string(R"({"temp_c":18})");
    });
    const Reply reply = unwrap(chat.send(paris(), greedy_chat()));
    CHECK(looked == 1);
    CHECK(reply.text.find("18") != std::string::npos);
    CHECK(roles_of(chat) == "uauata");
    looked = 0;
    unwrap(chat.regenerate(greedy_chat(), [&](const Token&) {
        meddle();
        return Flow::go;
    }));
    CHECK(looked > 1);
    CHECK(roles_of(unwrap(Chat::load(chat_engine(), folder.path() / "chat"))) == "uaua");
    unwrap(chat.undo());
    CHECK(roles_of(chat) == "ua");
}

TEST_CASE("chat: two tools of one name are refused") {
    Chat chat = new_chat(with_weather([](const std::string&) -> Result<std::string> { return std::string("1"); }));
    chat.options().tools.push_back(chat.options().tools[0]);
    const auto reply = chat.send(paris(), greedy_chat());
    CHECK(reply.error().code == Errc::invalid_argument);
    CHECK(reply.error().message == "there are two tools called 'get_weather'");
    CHECK(chat.history().empty());
}

TEST_CASE("chat: what was cancelled or cut stays as far as it got") {
    Chat chat = new_chat();
    const Reply whole = unwrap(chat.send(Part::text("Who are you?"), greedy_chat()));
    const Reply cut = unwrap(chat.regenerate(greedy_chat(5)));
    CHECK(cut.finish == FinishReason::length);
    CHECK(roles_of(chat) == "ua");
    CHECK(chat.history()[1].parts.at(0).text_value == cut.text);
    CHECK(whole.text.starts_with(cut.text));
    std::stop_source source;
    GenerateOptions stopped = greedy_chat();
    stopped.cancel = source.get_token();
    int tokens = 0;
    const Reply cancelled = unwrap(chat.regenerate(stopped, [&](const Token&) {
        if (++tokens == 3) source.request_stop();
        return Flow::go;
    }));
    CHECK(cancelled.finish == FinishReason::cancelled);
    CHECK(cancelled.tokens.size() == 3);
    CHECK(roles_of(chat) == "ua");
    // Before its first token nothing was said.
    const Reply none = unwrap(chat.send(Part::text("And you?"), stopped));
    CHECK(none.finish == FinishReason::cancelled);
    CHECK(roles_of(chat) == "uau");
    CHECK(unwrap(chat.regenerate(greedy_chat())).finish == FinishReason::stop);
    CHECK(roles_of(chat) == "uaua");
}

TEST_CASE("chat: a stop request ends the round of tools in front of the next one") {
    std::stop_source source;
    Chat chat = new_chat(with_weather([&](const std::string&) -> Result<std::string> {
        source.request_stop();
        return std::string("1");
    }));
    GenerateOptions options = greedy_chat();
    options.cancel = source.get_token();
    const Reply reply = unwrap(chat.send(paris(), options));
    CHECK(reply.finish == FinishReason::cancelled);
    CHECK(reply.tokens.empty());
    CHECK(roles_of(chat) == "uat");
    const Reply again = unwrap(chat.send(paris(), options));  // stopped before anything
    CHECK(again.finish == FinishReason::cancelled);
    CHECK(roles_of(chat) == "uatu");
}

TEST_CASE("chat: turns are undone, answered anew, cleared and forked") {
    Chat chat = new_chat();
    CHECK(chat.undo().error().code == Errc::invalid_argument);
    CHECK(chat.regenerate().error().message == "there is nothing to answer anew: the chat has no user's message");
    say(chat, "My name is Emma.");
    const uint32_t first = chat.context();
    const std::string who = say(chat, "Who are you?");
    const uint32_t second = chat.context();
    Chat twin = unwrap(chat.fork());
    CHECK(twin.context() == second);
    CHECK(unwrap(chat.regenerate(greedy_chat())).text == who);
    CHECK(chat.context() == second);
    CHECK(chat.undo().has_value());
    CHECK(roles_of(chat) == "ua");
    CHECK(chat.context() <= first);
    CHECK(say(chat, "What is my name?") == "Your name is Emma.");
    CHECK(roles_of(twin) == "uaua");
    CHECK(say(twin, "What is my name?") == "Your name is Emma.");
    CHECK(chat.undo().has_value());
    CHECK(chat.undo().has_value());
    CHECK(chat.context() == 0);
    CHECK(!chat.undo());
    unwrap(twin.clear());
    CHECK(twin.context() == 0);
    CHECK(twin.history().empty());
    CHECK(say(twin, "Who are you?") == who);
}

TEST_CASE("chat: thoughts are kept in the history, and what the system prompt says counts from the next turn on") {
    Chat chat = new_chat({.think = true});
    const Reply reply = unwrap(chat.send(Part::text("What is 63 - 27?"), greedy_chat()));
    CHECK(!reply.thinking.empty());
    CHECK(chat.history()[1].reasoning == reply.thinking);
    chat.options().think = false;
    chat.options().system = "You are a helpful assistant.";
    say(chat, "My name is Emma.");
    const Reply last = unwrap(chat.send(Part::text("What is my name?"), greedy_chat()));
    CHECK(last.thinking.empty());
    CHECK(last.text == "Your name is Emma.");
    CHECK(chat.undo().has_value());  // to where the changed prompt allows
    CHECK(say(chat, "What is my name?") == last.text);
}

TEST_CASE("chat: the model's own system prompt is the default") {
    const Engine engine = unwrap(open_engine({.model = kTiny, .threads = 2, .precise = true}));
    model::EngineState& state = const_cast<model::EngineState&>(model::Access::state(engine));
    state.info.system = "You are a helpful assistant.";
    Chat chat(engine, unwrap(engine.new_session()));
    const uint32_t with = unwrap(chat.send(Part::text("Hi"), greedy_chat(1))).usage.prompt;
    state.info.system = "";
    const uint32_t without = unwrap(chat.regenerate(greedy_chat(1))).usage.prompt;
    chat.options().system = "You are a helpful assistant.";
    CHECK(unwrap(chat.regenerate(greedy_chat(1))).usage.prompt == with);
    CHECK(without < with);
}

TEST_CASE("chat: saved and loaded, it goes on as the unbroken one") {
    const ScratchFolder folder;
    const auto file = folder.path() / "kept";
    Chat chat = new_chat({.system = "You are a helpful assistant.", .max_rounds = 3});
    say(chat, "My name is Emma.");
    unwrap(chat.send({.role = Role::user, .parts = {Part::image(kTiny / "samples/image_2.png"), Part::text("What do you see?")}}, greedy_chat()));
    unwrap(chat.send({.role = Role::user, .parts = {Part::image(std::vector<uint8_t>(48 * 48 * 3, 200), 48, 48), Part::text("Which color?")}}, greedy_chat()));
    unwrap(chat.save(file));
    Chat loaded = unwrap(Chat::load(chat_engine(), file, with_weather([](const std::string&) { return Result<std::string>("1"); })));
    CHECK(loaded.context() == chat.context());
    CHECK(loaded.options().system == "You are a helpful assistant.");
    CHECK(loaded.options().max_rounds == 3);
    CHECK(loaded.options().tools.size() == 1);
    loaded.options().tools.clear();
    CHECK(roles_of(loaded) == roles_of(chat));
    const Reply here = unwrap(chat.send(Part::text("What is my name?"), greedy_chat()));
    const Reply there = unwrap(loaded.send(Part::text("What is my name?"), greedy_chat()));
    CHECK(there.tokens == here.tokens);
    CHECK(there.usage.cached == here.usage.cached);
    CHECK(there.usage.cached > 100);
    CHECK(loaded.undo().has_value());
    CHECK(loaded.undo().has_value());
    CHECK(chat.undo().has_value());
    CHECK(chat.undo().has_value());
    CHECK(loaded.context() == chat.context());
    CHECK(say(loaded, "What is my name?") == say(chat, "What is my name?"));
}

TEST_CASE("chat: after an error or an undone turn it is saved as it stands, and what is no chat is refused") {
    const ScratchFolder folder;
    const auto file = folder.path() / "kept";
    Chat chat = new_chat();
    say(chat, "My name is Emma.");
    CHECK(!chat.send(Part::image(kTiny / "no such file.png"), greedy_chat()));
    unwrap(chat.send(Part::text("Who are you?"), greedy_chat(), [](const Token&) { return Flow::discard; }));
    unwrap(chat.save(file));
    Chat loaded = unwrap(Chat::load(chat_engine(), file));
    CHECK(say(loaded, "What is my name?") == "Your name is Emma.");
    Chat empty = new_chat();
    unwrap(empty.save(file));
    CHECK(unwrap(Chat::load(chat_engine(), file)).history().empty());
    // A session alone is none; a chat's session is one.
    unwrap(chat.session().save(file));
    const auto refused = Chat::load(chat_engine(), file);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::bad_session_file);
    unwrap(chat.save(file));
    CHECK(unwrap(Session::restore(chat_engine(), file)).position() == chat.context());
    CHECK(Chat::load(chat_engine(), folder.path() / "nothing").error().code == Errc::not_found);
    CHECK(chat.save(folder.path() / "no" / "folder").error().code == Errc::io_error);
}
