// Which tokens may come where in a reply: thoughts, answers held to a schema, calls held to their tools.
#include "model/text/reply_guide.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "model/text/reply_parser.h"
#include "model/text/tool_markup.h"
#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

const Tokenizer& tokenizer() { return test::tiny_tokenizer(); }
const TokenTrie& trie() {
    static const TokenTrie trie(tokenizer(), tokenizer().size());
    return trie;
}
int32_t mark(const char* text) { return *tokenizer().special(text); }

void append(std::vector<int32_t>& ids, const char* text) {
    const auto more = tokenizer().encode(text);
    ids.insert(ids.end(), more->begin(), more->end());
}

struct Guided {
    explicit Guided(GuideOptions options, std::vector<int32_t> before = {}) : guide(make(options, before)) {}

    static ReplyGuide make(GuideOptions options, const std::vector<int32_t>& before) {
        static const std::vector<int32_t> stops = {mark("<turn|>"), mark("<|tool_response>"), mark("<eos>")};
        options.stop_ids = stops;
        auto made = ReplyGuide::create(tokenizer(), trie(), options, before);
        REQUIRE_MESSAGE(made, made.error().message);
        return std::move(*made);
    }
    bool allows(int32_t id) {
        const auto mask = guide.mask();
        return mask.empty() || has_bit(mask, id);
    }
    bool allows(const char* text) { return allows(tokenizer().encode(text)->at(0)); }
    void say(int32_t id) {
        CHECK_MESSAGE(allows(id), tokenizer().piece(id));
        guide.feed(id);
    }
    void say(const char* text) {
        const auto ids = tokenizer().encode(text);
        for (const int32_t id : *ids) say(id);
    }
    int allowed() {
        int count = 0;
        const auto mask = guide.mask();
        for (int32_t id = 0; id < tokenizer().size(); ++id) count += has_bit(mask, id);
        return count;
    }

    ReplyGuide guide;
};

const JsonValue& weather() {
    static const JsonValue tools = *parse_tools(R"([{"function":{"name":"weather","parameters":{"type":"object","properties":{
        "city":{"type":"string","enum":["Oslo","Rome"]},"days":{"type":"integer"}},"required":["city"]}}}])");
    return tools;
}
constexpr const char* kSchema = R"({"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]})";

}  // namespace

TEST_CASE("guide: an answer to a schema, and then the end alone") {
    Guided g({.schema = kSchema});
    for (const char* mark_text : {"<turn|>", "<eos>", "<|tool_call>", "<tool_call|>", "<channel|>", "<|tool_response>", "<bos>", "<pad>"})
        CHECK_MESSAGE(!g.allows(mark(mark_text)), mark_text);
    CHECK(!g.allows("x"));
    g.say("{\"ok\": ");
    CHECK(!g.allows(mark("<turn|>")));
    CHECK(!g.allows(mark("<|channel>")));  // behind the beginning of the answer
    g.say("true}");
    CHECK(g.allowed() == 2);
    CHECK(g.allows(mark("<turn|>")));
    CHECK(g.allows(mark("<eos>")));
}

TEST_CASE("guide: one thought may stand in front, and does not end the reply") {
    CHECK(!Guided({.schema = kSchema}).allows(mark("<|channel>")));  // nobody asked for it
    CHECK(!Guided({.schema = kSchema}, {mark("<|think|>"), mark("<|channel>"), mark("<channel|>")}).allows(mark("<|channel>")));
    Guided g({.schema = kSchema}, {mark("<|think|>")});
    g.say(mark("<|channel>"));
    g.say("thought\n{anything} \"at all\"");
    CHECK(!g.allows(mark("<turn|>")));
    CHECK(!g.allows(mark("<eos>")));
    CHECK(!g.allows(mark("<|tool_response>")));
    CHECK(!g.allows(mark("<|tool_call>")));
    g.say(mark("<channel|>"));
    CHECK(!g.allows(mark("<|channel>")));
    CHECK(!g.allows("x"));
    g.say("{\"ok\":false}");
    g.say(mark("<turn|>"));

    std::vector<int32_t> before = {mark("<|turn>"), mark("<|channel>")};  // the prompt opened it
    append(before, "thought\n");
    Guided open({.schema = kSchema}, before);
    open.say("so");
    open.say(mark("<channel|>"));
    open.say("{\"ok\":false}");
    CHECK(open.allowed() == 2);
}

TEST_CASE("guide: a schema and tools leave calls or an answer") {
    for (const bool held : {false, true}) {
        Guided g({.schema = kSchema, .hold_tools = held, .tools = &weather()});
        CHECK(g.allows("{\""));
        g.say(mark("<|tool_call>"));
        CHECK(!g.allows(mark("<tool_call|>")));
        CHECK(!g.allows(mark("<turn|>")));
        g.say("call:weather{city:");
        g.say(mark("<|\"|>"));
        CHECK(g.allows("Berlin") == !held);
        g.say("Rome");
        g.say(mark("<|\"|>"));
        g.say("}");
        CHECK(g.allowed() == 1);
        g.say(mark("<tool_call|>"));
        CHECK(g.allowed() == 4);  // another call, or an end
        CHECK(!g.allows("{\""));
        g.say(mark("<|tool_call>"));
        g.say("call:weather{");
        CHECK(g.allows("town") == !held);
    }
}

TEST_CASE("guide: held tools alone leave the answer free") {
    Guided g({.hold_tools = true, .tools = &weather()});
    CHECK(g.guide.mask().empty());
    g.say("Hello {\"");
    g.say(mark("<|tool_call>"));
    g.say("call:");
    CHECK(!g.allows("stocks"));
    g.say("weather{city:");
    g.say(mark("<|\"|>"));
    CHECK(!g.allows("Berlin"));
    g.say("Oslo");
    g.say(mark("<|\"|>"));
    g.say(",days:3}");
    g.say(mark("<tool_call|>"));
    CHECK(g.guide.mask().empty());

    JsonValue none{JsonValue::Kind::list};
    Guided without({.hold_tools = true, .tools = &none});
    CHECK(!without.allows(mark("<|tool_call>")));
    CHECK(without.allows("Hello"));
}

TEST_CASE("guide: a call that was left open goes on, held where it can be") {
    std::vector<int32_t> before = {mark("<|tool_call>")};
    append(before, "call:weather{city:");
    Guided g({.hold_tools = true, .tools = &weather()}, before);
    CHECK(g.allows(mark("<|\"|>")));
    CHECK(!g.allows("O"));
    before.push_back(tokenizer().encode("no quotes")->at(0));
    Guided lost({.hold_tools = true, .tools = &weather()}, before);
    CHECK(lost.allows("anything"));
    CHECK(lost.allows(mark("<tool_call|>")));
    lost.say(mark("<tool_call|>"));
    lost.say(mark("<|tool_call>"));
    CHECK(!lost.allows("anything"));
}

TEST_CASE("guide: what cannot be held is an error") {
    const auto made = [](GuideOptions options) { return ReplyGuide::create(tokenizer(), trie(), options, {}); };
    const int32_t stops[] = {mark("<turn|>")};
    CHECK(made({.schema = "{", .stop_ids = stops}).error().code == Errc::bad_grammar);
    CHECK(made({.schema = "{}"}).error().code == Errc::bad_model_file);  // no end
    const auto tools = parse_tools(R"([{"function":{"name":"f","parameters":{"not":{}}}}])");
    CHECK(made({.hold_tools = true, .tools = &*tools}).error().code == Errc::bad_grammar);
    CHECK(made({.schema = "{}", .tools = &*tools, .stop_ids = stops}));  // not held, but readable
}
