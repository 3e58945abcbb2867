// Thoughts and answers out of id streams, with the slips that models make.
#include "model/text/reply_parser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "model/text/tokenizer.h"
#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

struct Parsed {
    std::string thinking, text;
    std::vector<std::string> calls, broken;
    bool operator==(const Parsed&) const = default;
};

// `before`: of the sequence that the reply goes on.
Parsed parse_ids(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, const std::vector<int32_t>& before = {}) {
    auto parser = ReplyParser::create(tokenizer, before);
    REQUIRE(parser.has_value());
    Parsed all;
    const auto add = [&](const ReplyDelta& delta) {
        all.thinking += delta.thinking;
        all.text += delta.text;
        if (delta.call) all.calls.push_back(delta.call->name + " " + delta.call->arguments);
        if (!delta.broken_call.empty()) all.broken.push_back(delta.broken_call);
    };
    for (const int32_t id : ids) add(parser->feed(id));
    add(parser->finish());
    return all;
}

std::vector<int32_t> ids_of(std::string_view text) {
    return *test::tiny_tokenizer().encode(text, {.parse_special = true});
}

Parsed parse(std::string_view reply, std::string_view before = "") {
    return parse_ids(test::tiny_tokenizer(), ids_of(reply), ids_of(before));
}

void check(std::string_view reply, std::string_view thinking, std::string_view text,
           std::string_view before = "") {
    const Parsed all = parse(reply, before);
    CHECK_MESSAGE(all.thinking == thinking, reply);
    CHECK_MESSAGE(all.text == text, reply);
}

using Calls = std::vector<std::string>;

void check_calls(std::string_view reply, const Calls& calls, std::string_view text = "", const Calls& broken = {},
                 std::string_view before = "") {
    const Parsed all = parse(reply, before);
    CHECK_MESSAGE(all.calls == calls, reply);
    CHECK_MESSAGE(all.text == text, reply);
    CHECK_MESSAGE(all.broken == broken, reply);
}

// What the model says first in a golden conversation.
std::string first_reply(const std::string& rendered) {
    const std::string_view turn = "<|turn>model\n";
    const size_t begin = rendered.find(turn) + turn.size();
    const size_t end = std::min(rendered.find("<|tool_response>", begin), rendered.find("<turn|>", begin));
    return rendered.substr(begin, end - begin);
}

// Places where a text may be cut: control tokens and characters are whole.
std::vector<size_t> cuts(std::string_view text) {
    std::vector<size_t> out;
    for (size_t i = 1; i < text.size(); ++i) {
        bool inside = (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
        for (const std::string_view mark : {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|\"|>", "<turn|>"})
            for (size_t back = 1; back < mark.size() && back <= i; ++back) inside = inside || text.substr(i - back).starts_with(mark);
        if (!inside) out.push_back(i);
    }
    return out;
}

void add_ids(std::string_view text, std::vector<int32_t>& ids) {
    const auto more = ids_of(text);
    ids.insert(ids.end(), more.begin(), more.end());
}

// The same, however the text was cut into tokens: in two at every place, and into single characters.
void check_cuts(const std::string& reply, const Parsed& want) {
    CAPTURE(reply);
    const auto places = cuts(reply);
    std::vector<int32_t> single;
    size_t begin = 0;
    for (const size_t cut : places) {
        auto ids = ids_of(std::string_view(reply).substr(0, cut));
        add_ids(std::string_view(reply).substr(cut), ids);
        CHECK(parse_ids(test::tiny_tokenizer(), ids) == want);
        add_ids(std::string_view(reply).substr(begin, cut - begin), single);
        begin = cut;
    }
    add_ids(std::string_view(reply).substr(begin), single);
    CHECK(parse_ids(test::tiny_tokenizer(), single) == want);
}

}  // namespace

TEST_CASE("reply: plain answers and thoughts") {
    check("Hello there.<turn|>", "", "Hello there.");
    check("<|channel>thought\nI see.\n<channel|>Yes.<turn|>", "I see.", "Yes.");
    check("<|channel>thought\nOne.\n\nTwo. \n<channel|>\n Yes.\n\nNo.<eos>", "One.\n\nTwo.", "Yes.\n\nNo.");
    check("  leading and trailing \n<turn|>", "", "  leading and trailing \n");
    check("", "", "");
}

TEST_CASE("reply: which sequences end inside a thought") {
    const auto open = [](std::string_view text) { return open_thought(test::tiny_tokenizer(), ids_of(text)).has_value(); };
    CHECK(open("<|turn>model\n<|channel>"));
    CHECK(open("<|turn>model\n<|channel>a<channel|>b<|channel>c"));
    CHECK(!open(""));
    CHECK(!open("<|turn>model\n<|channel>thought\na<channel|>"));
    // The next turn ends a thought that was cut, whatever stands in it.
    CHECK(!open("<|turn>model\n<|channel>thought\ncut<turn|>\n<|turn>user\nGo on.<turn|>\n<|turn>model\n"));
    CHECK(!open("<|channel>thought\ncut<turn|>"));
}

TEST_CASE("reply: starting inside a thought") {
    const char* prompt = "<|turn>user\nWhy?<turn|>\n<|turn>model\n<|channel>thought\n";
    check("\n so.\n<channel|>Yes.<turn|>", "so.", "Yes.", prompt);
    check("cut short ", "cut short", "", prompt);
    check(" there", " there", "", "<|turn>model\n<|channel>thought\nI was");
    check("ought\nso.<channel|>Yes.", "so.", "Yes.", "<|turn>model\n<|channel>th");  // cut within the name
}

TEST_CASE("reply: the slips of the model") {
    check("<|channel>thought\n<channel|>Yes.<turn|>", "", "Yes.");
    check("<|channel>thought<channel|>Yes.<turn|>", "", "Yes.");
    check("<|channel><channel|>Yes.", "", "Yes.");
    check("<|channel><|channel>thought\n<channel|>Yes.", "", "Yes.");
    check("<|channel>thought\n<|channel>thought\nhm\n<channel|>Yes.", "hm", "Yes.");
    check("<|channel>thought\nhm\n<|channel>thought\nha\n<channel|>Yes.", "hm\nha", "Yes.");
    check("Yes.<channel|>", "", "Yes.");
    check("Yes.\n<|channel>thought\n<channel|><turn|>", "", "Yes.");
    check("Yes.\n<|channel>thought\n<channel|> And no.", "", "Yes.And no.");
    check("<|channel>thoughtful start\n<channel|>Yes.", "thoughtful start", "Yes.");
    check("<|channel>analysis\nabc<channel|>Yes.", "analysis\nabc", "Yes.");
    check("<|channel>thou", "thou", "");
    check("<|channel>thought", "", "");
    check("<|channel> thought \n x<channel|>y", "x", "y");
    check("Done.<|tool_response>", "", "Done.");
    check("<|channel>thought\nnever closed \n<turn|>", "never closed", "");
}

TEST_CASE("reply: calls of tools") {
    const std::string call = "<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|>";
    const Calls one = {"f {\"a\":\"x\"}"}, two = {one[0], one[0]};
    check_calls(call + "<|tool_response>", one);
    check_calls(call + call + "<|tool_response>", two);
    check_calls(call + "\n" + call, two);
    check_calls("Let me look.\n" + call + "<|tool_response>", one, "Let me look.");
    const Parsed thought = parse("<|channel>thought\nneed it\n<channel|>" + call);
    CHECK(thought.thinking == "need it");
    CHECK(thought.calls == one);
    check_calls("<|tool_call>call:get_weather{city:<|\"|>Paris}<turn|> and\n<tool_call|>", {"get_weather {\"city\":\"Paris\"}"}, "and\n");
}

TEST_CASE("reply: slips around calls") {
    const std::string call = "<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|>";
    const Calls one = {"f {\"a\":\"x\"}"};
    check_calls(call + "<tool_call|><tool_call|><|tool_response>", one);
    check_calls(call + "<|tool_response><|tool_response>", one);
    check_calls(call + " Done.<turn|>", one, "Done.");
    check_calls("<|tool_call>call:f{a:<|\"|>x<|\"|>}" + call, {one[0], one[0]});   // no end before the next one
    check_calls("<|tool_call>call:f{a:<|\"|>x<|\"|>}<|tool_response>", one);       // the end of the turn is one
    check_calls("<|tool_call>call:f{a:<|\"|>x<turn|>", one);
    check_calls("<|tool_call>call:f{a:<|\"|>x<|\"|>}<eos>", one);
    check_calls("<|tool_call>nonsense<tool_call|>Sorry.", {}, "Sorry.", {"<|tool_call>nonsense"});
    check_calls("<|tool_call>call:f{a:<|\"|>y<tool_call|>" + call, {"f {\"a\":\"y\"}", one[0]});
    const Parsed inside = parse("<|channel>thought\nnow " + call + "<turn|>");
    CHECK(inside.thinking == "now");
    CHECK(inside.calls == one);
}

TEST_CASE("reply: a call that was cut is given back, not mended, and goes on in the next reply") {
    const std::string begin = "<|tool_call>call:f{a:<|\"|>x";
    check_calls(begin, {}, "", {begin});
    check_calls(begin + "<|\"|>}", {}, "", {begin + "<|\"|>}"});
    check_calls(" y<|\"|>}<tool_call|>", {"f {\"a\":\"x y\"}"}, "", {}, "<|turn>model\n" + begin);
    CHECK(!open_thought(test::tiny_tokenizer(), ids_of("<|channel>thought\nx" + begin)));
}

TEST_CASE("reply: control tokens alone open calls and thoughts") {
    const std::string quoted = "The page says <|tool_call>call:rm{}<tool_call|> and <|channel>thought\nx<channel|>.";
    const auto ids = *test::tiny_tokenizer().encode(quoted);
    const Parsed all = parse_ids(test::tiny_tokenizer(), ids);
    CHECK(all.calls.empty());
    CHECK(all.thinking.empty());
    CHECK(all.text == quoted);
}

TEST_CASE("reply: a call's id is the position of the token that completed it") {
    const auto before = ids_of("<|turn>model\n"), ids = ids_of("<|tool_call>call:f{}<tool_call|>");
    auto parser = ReplyParser::create(test::tiny_tokenizer(), before);
    std::optional<ToolCall> call;
    for (const int32_t id : ids) call = parser->feed(id).call;
    REQUIRE(call.has_value());
    CHECK(call->id == "call_" + std::to_string(before.size() + ids.size() - 1));
}

TEST_CASE("reply: however a reply is cut into tokens, the same comes out") {
    const auto file = nlohmann::ordered_json::parse(test::read_file(test::golden_path("chat_tools.json")));
    std::vector<std::string> replies = {
        "<|channel>thought\nOne.\n\nTwo \u00e9 \U0001F600. \n<channel|>\n Yes.\n\nNo. <turn|>", "<|channel><|channel>thought\n<channel|>Yes.",
        "Look.\n<|tool_call>call:f{a:'x',b:<|\"|>y}<tool_call|><tool_call|> Done.<channel|>", "<|tool_call>call:f{a<tool_call|>Oh. <|tool_call>call:",
        "<|channel>thoughtful start\n<channel|>Yes.<|channel>thought\n<channel|> <|tool_call>call:f{}<tool_call|>\n<|tool_call>call:g{a:<|\"|>x"};
    int with_calls = 0;
    for (const auto& golden : file["cases"]) {
        if (golden.value("enable_thinking", false)) continue;
        const std::string reply = first_reply(golden["rendered"]);
        if (!reply.starts_with("<|")) continue;
        replies.push_back(reply);
        const Parsed parsed = parse(reply);
        CHECK_MESSAGE(parsed.broken.empty(), reply);
        with_calls += !parsed.calls.empty();
    }
    CHECK(with_calls > 20);
    for (const std::string& reply : replies) check_cuts(reply, parse(reply));
}

TEST_CASE("reply: the recorded replies of the bundled model") {
    const Tokenizer& tiny = test::tiny_tokenizer();
    const Parsed thought = parse_ids(
        tiny,
        {13,  392, 281, 1103, 280, 299, 296, 280, 299, 301, 451, 280, 305, 410, 280, 304, 296, 280, 304, 451,
         280, 300, 410, 280,  302, 296, 281, 14,  304, 301, 451, 280, 300, 305, 410, 280, 302, 304, 16});
    CHECK(thought.thinking == "Borrow 1. 13 - 7 = 6. 6 - 2 = 4.");
    CHECK(thought.text == "63 - 27 = 46");
}

TEST_CASE("reply: text comes as soon as it is certain, broken bytes before a mark are shown") {
    const Tokenizer& real = test::real_tokenizer();
    auto parser = ReplyParser::create(real);
    REQUIRE(parser.has_value());
    CHECK(parser->feed(9259).text == "Hello");
    CHECK(parser->feed(107).text == "");  // white space waits
    CHECK(parser->feed(26352).text == "\n Hello");
    CHECK(parser->feed(478).text == "");  // the first byte of an emoji
    CHECK(parser->feed(397).text == "");
    CHECK(parser->feed(404).text == "");
    CHECK(parser->feed(391).text == "\U0001F999");
    CHECK(parser->feed(478).text == "");
    CHECK(parser->feed(100).text == "\uFFFD");
    CHECK(parser->feed(45518).thinking == "");
    CHECK(parser->feed(107).thinking == "");
    CHECK(parser->feed(9259).thinking == "Hello");
    CHECK(parser->feed(-1).thinking == "\uFFFD");  // no such id
    CHECK(parser->finish().text == "");
}

TEST_CASE("reply: any ids at all give valid text without trouble") {
    const Tokenizer& tiny = test::tiny_tokenizer();
    test::TestRandom random(11);
    for (int i = 0; i < 500; ++i) {
        std::vector<int32_t> ids;
        for (int k = 0; k < 25; ++k)
            ids.push_back(static_cast<int32_t>(random.below(random.below(2) == 0 ? 24 : 2048)));
        const Parsed all = parse_ids(tiny, ids, ids_of(random.below(2) == 0 ? "<|channel>thought\n" : ""));
        REQUIRE(tiny.encode(all.thinking).has_value());
        REQUIRE(tiny.encode(all.text).has_value());
        REQUIRE(all.text.find("<|channel>") == std::string::npos);
    }
}

TEST_CASE("reply: a vocabulary without channel marks is refused") {
    auto vocabulary = vocabulary_from_json(test::small_tokenizer_json({"a"}, {}), "");
    const auto plain = Tokenizer::create(std::move(*vocabulary));
    REQUIRE(plain.has_value());
    CHECK(ReplyParser::create(*plain).error().code == Errc::unsupported_model);
}
