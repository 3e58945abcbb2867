// Replies of the bundled model whose answers are held to a schema, and whose calls are held to their tools, on every kind of
// device: their names begin as those of generate_test.cpp.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lapidary/lapidary.h"
#include "model/engine_state.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

const Engine& tiny() {
    static const Engine engine = unwrap(open_engine({.model = kTiny, .threads = 2, .precise = true}));
    return engine;
}

constexpr const char* kPersonSchema = R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":1,"maximum":99},
    "tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3}},"required":["name","age"],"additionalProperties":false})";

GenerateOptions held(uint64_t seed) {
    GenerateOptions o;
    o.schema = kPersonSchema;
    o.sampling.temperature = 1.0f;
    o.sampling.seed = seed;
    return o;
}

Prompt text_prompt(const std::string& text, bool think = false) {
    return unwrap(tiny().render({{{Role::user, {Part::text(text)}}}, think}));
}

void check_person(const std::string& text) {
    CAPTURE(text);
    const auto json = nlohmann::json::parse(text, nullptr, false);
    REQUIRE(json.is_object());
    CHECK(json["name"].is_string());
    CHECK((json["age"] >= 1 && json["age"] <= 99));
    CHECK(json.size() == (json.contains("tags") ? 3 : 2));
}

}  // namespace

TEST_CASE("generate: an answer held to a schema is JSON that validates, and ends") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
        GenerateOptions few = held(seed), all = held(seed);
        few.sampling.top_k = 64;  // candidates of the device, and whole rows
        all.sampling.top_k = 0;
        all.logprobs = 2;
        for (const GenerateOptions& options : {few, all}) {
            Session session = unwrap(tiny().new_session());
            REQUIRE(session.append(text_prompt("Who are you?")));
            const Reply reply = unwrap(session.generate(options));
            REQUIRE(reply.finish == FinishReason::stop);
            check_person(reply.text);
        }
    }
}

TEST_CASE("generate: a schema holds greedy choices as candidates and as whole rows alike") {
    std::vector<std::vector<int32_t>> tokens;
    for (const int logprobs : {0, 1}) {
        GenerateOptions options = held(1);
        options.sampling.temperature = 0.0f;
        options.logprobs = logprobs;
        Session session = unwrap(tiny().new_session());
        REQUIRE(session.append(text_prompt("Who are you?")));
        const Reply reply = unwrap(session.generate(options));
        check_person(reply.text);
        tokens.push_back(reply.tokens);
    }
    CHECK(tokens[0] == tokens[1]);
}

TEST_CASE("generate: thoughts stand in front of an answer that is held to a schema") {
    Session session = unwrap(tiny().new_session());
    REQUIRE(session.append(text_prompt("What is 63 - 27?", true)));
    GenerateOptions options = held(2);
    options.sampling.temperature = 0.0f;
    options.think_budget = 6;
    const Reply reply = unwrap(session.generate(options));
    CHECK(reply.finish == FinishReason::stop);
    CHECK(!reply.thinking.empty());
    check_person(reply.text);
}

TEST_CASE("generate: what max_tokens cuts of a schema's answer is no whole text, and what does not go together is refused") {
    Session session = unwrap(tiny().new_session());
    REQUIRE(session.append(text_prompt("Who are you?")));
    GenerateOptions options = held(3);
    options.max_tokens = 3;
    CHECK(unwrap(session.generate(options)).finish == FinishReason::length);
    const uint32_t position = session.position();
    const auto code = [&](GenerateOptions o) { return session.generate(o).error().code; };
    options.schema = R"({"uniqueItems":true})";
    CHECK(code(options) == Errc::bad_grammar);
    options.schema = "{}";
    options.stop = {"x"};
    CHECK(code(options) == Errc::invalid_argument);
    options.stop = {};
    options.ignore_eos = true;
    CHECK(code(options) == Errc::invalid_argument);
    CHECK(session.position() == position);
}

TEST_CASE("generate: calls are held to their tools") {
    const auto reference = read_json(kTiny / "reference.json");
    nlohmann::json c;
    for (const auto& one : reference["cases"])
        if (one["name"] == "text_tool_call") c = one;
    Conversation talk;
    talk.tools = c["tools"].dump();
    talk.messages = {{.role = Role::user, .parts = {Part::text(c["messages"][0]["content"])}, .plain_string = true}};
    const auto reply_to = [&](const nlohmann::json& tools, bool hold, const std::string& schema) {
        Session session = unwrap(tiny().new_session());
        REQUIRE(session.append(unwrap(tiny().render(talk))));
        GenerateOptions options;
        options.sampling.temperature = 0.0f;
        options.tools = tools.dump();
        options.hold_tools = hold;
        options.schema = schema;
        return unwrap(session.generate(options));
    };
    const Reply free = reply_to(c["tools"], false, "");
    REQUIRE(free.tool_calls.size() == 1);
    CHECK(reply_to(c["tools"], true, "").tokens == free.tokens);
    CHECK(reply_to(c["tools"], false, kPersonSchema).tokens == free.tokens);  // beside a schema
    nlohmann::json other = c["tools"];
    other[0]["function"]["parameters"]["properties"]["city"] = {{"type", "string"}, {"enum", {"Oslo"}}};
    const Reply held_call = reply_to(other, true, "");
    REQUIRE(held_call.tool_calls.size() == 1);
    CHECK(held_call.tool_calls[0].arguments == R"({"city":"Oslo"})");
    CHECK(held_call.finish == FinishReason::tool_calls);
}

TEST_CASE("generate: replies to one schema share its grammar, side by side too") {
    model::GrammarCache& grammars = model::Access::state(tiny()).grammars;
    const auto reply = [](uint64_t seed, const TokenSink& sink) {
        Session session = unwrap(tiny().new_session());
        REQUIRE(session.append(text_prompt("Who are you?")));
        return unwrap(session.generate(held(seed), sink)).text;
    };
    const std::string alone = reply(1, {}), other = reply(2, {});
    const model::SharedGrammar grammar = unwrap(grammars.of_schema(kPersonSchema));
    const long idle = grammar.use_count();
    CHECK(idle == 2);  // here, and where it is kept
    bool shared = false;
    reply(1, [&](const Token&) {
        shared = grammar.use_count() > idle;
        return Flow::go;
    });
    CHECK(shared);
    CHECK(unwrap(grammars.of_schema(kPersonSchema)) == grammar);
    std::string left, right;
    std::thread one([&] { left = reply(1, {}); }), two([&] { right = reply(2, {}); });
    one.join();
    two.join();
    CHECK(left == alone);
    CHECK(right == other);
    CHECK(unwrap(grammars.of_schema(kPersonSchema)) == grammar);
}

TEST_CASE("generate: stop texts that a store keeps with the model end free answers, and cut none that is held to a schema") {
    const Engine engine = unwrap(open_engine({.model = kTiny, .threads = 2}));
    auto stored = std::make_shared<stores::StoredModel>();
    stored->defaults.stop = {"\""};
    model::Access::shared(engine)->loaded.stored = stored;
    const Prompt prompt = unwrap(engine.render({{{Role::user, {Part::text("Who are you?")}}}}));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(prompt));
    check_person(unwrap(session.generate(held(1))).text);
    stored->defaults.stop = {"tiny"};
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    unwrap(session.replace(prompt));
    CHECK(unwrap(session.generate(greedy)).text == "I am a ");
}
