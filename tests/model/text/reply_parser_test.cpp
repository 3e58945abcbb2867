// Thoughts and answers out of id streams, with the slips that models make.
#include "model/text/reply_parser.h"

#include <doctest/doctest.h>

#include "model/text/tokenizer.h"
#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

// `before`: of the sequence that the reply goes on.
ReplyDelta parse_ids(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                     const std::vector<int32_t>& before = {}) {
    auto parser = ReplyParser::create(tokenizer, before);
    REQUIRE(parser.has_value());
    ReplyDelta all;
    const auto add = [&](const ReplyDelta& delta) {
        all.thinking += delta.thinking;
        all.text += delta.text;
    };
    for (const int32_t id : ids) add(parser->feed(id));
    add(parser->finish());
    return all;
}

std::vector<int32_t> ids_of(std::string_view text) {
    return *test::tiny_tokenizer().encode(text, {.parse_special = true});
}

ReplyDelta parse(std::string_view reply, std::string_view before = "") {
    return parse_ids(test::tiny_tokenizer(), ids_of(reply), ids_of(before));
}

void check(std::string_view reply, std::string_view thinking, std::string_view text,
           std::string_view before = "") {
    const ReplyDelta all = parse(reply, before);
    CHECK_MESSAGE(all.thinking == thinking, reply);
    CHECK_MESSAGE(all.text == text, reply);
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

TEST_CASE("reply: tool calls pass through as text for now") {
    check("<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|><|tool_response>", "",
          "<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|>");
}

TEST_CASE("reply: the recorded replies of the bundled model") {
    const Tokenizer& tiny = test::tiny_tokenizer();
    const ReplyDelta thought = parse_ids(
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
        const ReplyDelta all = parse_ids(tiny, ids, ids_of(random.below(2) == 0 ? "<|channel>thought\n" : ""));
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
