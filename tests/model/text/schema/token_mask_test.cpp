// Masks over the whole vocabulary against every token read by itself, along random texts; how long a mask takes is printed.
#include "model/text/schema/token_mask.h"

#include <doctest/doctest.h>

#include <time.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "model/text/json_value.h"
#include "model/text/schema/grammar_builder.h"
#include "model/text/tool_markup.h"
#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::model::test::TestRandom;

namespace {

const TokenTrie& real_trie() {
    static const TokenTrie trie(test::real_tokenizer(), 262144);
    return trie;
}

bool is_text_token(const Tokenizer& tokenizer, int32_t id) {
    const TokenType type = tokenizer.type(id);
    const std::string_view piece = tokenizer.piece(id);
    const bool mark = type == TokenType::user_defined && (piece.starts_with("<|") || piece.ends_with("|>"));
    return (type == TokenType::normal || type == TokenType::byte || type == TokenType::user_defined) && !mark;
}

TokenBits by_hand(Matcher& matcher) {
    TokenBits bits(real_trie().words(), 0);
    const Tokenizer& tokenizer = test::real_tokenizer();
    Threads places[2];
    for (int32_t id = 0; id < tokenizer.size(); ++id) {
        if (!is_text_token(tokenizer, id)) continue;
        const auto before = matcher.mark();
        places[0] = matcher.now();
        int at = 0;
        for (const char c : tokenizer.token_bytes(id)) {
            matcher.step(places[at], static_cast<uint8_t>(c), places[1 - at]);
            at = 1 - at;
            if (places[at].empty()) break;
        }
        if (!places[at].empty()) set_bit(bits, id);
        matcher.release(before);
    }
    return bits;
}

std::vector<int32_t> ids_of(const TokenBits& bits) {
    std::vector<int32_t> ids;
    for (int32_t id = 0; id < static_cast<int32_t>(bits.size()) * 32; ++id)
        if (has_bit(bits, id)) ids.push_back(id);
    return ids;
}

const char* const kSchemas[] = {
    R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"type":"string","maxLength":12}},
        "mail":{"type":"string","format":"email"}},"required":["name","age"]})",
    R"({"type":"string","pattern":"^[^,]*,\\s?[a-z é\\n]+$"})",
    R"({"type":"object","additionalProperties":{"anyOf":[{"type":"string","minLength":3,"maxLength":5},{"type":"number"},{"enum":["red","green","blue\n"]}]}})",
    "true",
    R"({"anyOf":[{"type":"string","pattern":"^a"},{"type":"string","maxLength":4},{"type":"array","items":{"type":"boolean"}}]})",
};

}  // namespace

TEST_CASE("token mask: a mask is what every token by itself would say") {
    TestRandom random(7);
    for (const char* schema : kSchemas) {
        CAPTURE(std::string(schema));
        const auto grammar = grammar_of_schema(schema);
        REQUIRE_MESSAGE(grammar, grammar.error().message);
        Matcher matcher(*grammar);
        TokenMask mask(*grammar, real_trie());
        std::string text;
        for (int step = 0; step < 7; ++step) {
            CAPTURE(text);
            TokenBits bits(real_trie().words(), 0);
            mask.add(matcher, bits);
            REQUIRE(bits == by_hand(matcher));
            const auto ids = ids_of(bits);
            if (ids.empty()) break;
            const std::string bytes = test::real_tokenizer().token_bytes(ids[random.below(static_cast<uint32_t>(ids.size()))]);
            REQUIRE(matcher.feed(bytes));
            text += bytes;
        }
        if (text.size() < 4) continue;
        // In the midst of escapes and characters, which random texts seldom meet.
        for (const char* inside : {"\"\\", "\"\\u", "\"\\u00", "\"\\ud83d", "\"\\ud83d\\u", "\"\xF0", "\"\xE2\x82", "\"a\xC3", "{\"k\":\"ab\\", "[\"a"}) {
            Matcher other(*grammar);
            if (!other.feed(std::string_view(inside))) continue;
            CAPTURE(std::string(inside));
            TokenBits bits(real_trie().words(), 0);
            mask.add(other, bits);
            CHECK(bits == by_hand(other));
        }
    }
}

TEST_CASE("token mask: texts come through in every way of cutting them into tokens") {
    const auto grammar = grammar_of_schema(kSchemas[0]);
    const std::string text = "{\"name\": \"Zoë \\\"Z\\\" 😀\",\n  \"age\":42,\"tags\":[\"a, b\",\"\"], \"mail\":\"z@x.org\"}";
    const Tokenizer& tokenizer = test::real_tokenizer();
    TestRandom random(11);
    std::vector<std::vector<int32_t>> cuts;
    const auto whole = tokenizer.encode(text);
    REQUIRE(whole);
    cuts.push_back(*whole);
    cuts.emplace_back();
    for (const char c : text) cuts.back().push_back(tokenizer.vocabulary().byte_ids[static_cast<uint8_t>(c)]);
    for (int round = 0; round < 10; ++round) {
        cuts.emplace_back();
        for (size_t at = 0; at < text.size();) {
            const size_t length = std::min<size_t>(1 + random.below(9), text.size() - at);
            const std::string part = text.substr(at, length);
            const auto ids = tokenizer.encode(part);
            if (!ids) {  // within a character
                cuts.back().push_back(tokenizer.vocabulary().byte_ids[static_cast<uint8_t>(text[at])]);
                ++at;
                continue;
            }
            cuts.back().insert(cuts.back().end(), ids->begin(), ids->end());
            at += length;
        }
    }
    for (const auto& ids : cuts) {
        Matcher matcher(*grammar);
        TokenMask mask(*grammar, real_trie());
        for (const int32_t id : ids) {
            TokenBits bits(real_trie().words(), 0);
            mask.add(matcher, bits);
            REQUIRE_MESSAGE(has_bit(bits, id), tokenizer.piece(id));
            REQUIRE(matcher.feed(tokenizer.token_bytes(id)));
        }
        CHECK(matcher.complete());
    }
}

TEST_CASE("token mask: the quotes of calls are a token of their own") {
    const auto tools = parse_tools(R"([{"function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":true}}}])");
    const auto grammar = grammar_of_calls(*tools, true);
    const int32_t quote = *test::real_tokenizer().special("<|\"|>");
    Matcher matcher(*grammar);
    TokenMask mask(*grammar, real_trie(), quote);
    const auto allows = [&](int32_t id) {
        TokenBits bits(real_trie().words(), 0);
        mask.add(matcher, bits);
        return has_bit(bits, id);
    };
    const auto token = [](const char* text) { return test::real_tokenizer().encode(text)->at(0); };
    REQUIRE(matcher.feed(std::string_view("call:f{a:")));
    CHECK(allows(quote));
    CHECK(!allows(token("x")));
    REQUIRE(matcher.feed(kQuoteSymbol));
    for (const char* inside : {"x", "\"", "\\", "\n", "}", " word"}) CHECK_MESSAGE(allows(token(inside)), inside);
    CHECK(allows(quote));
    REQUIRE(matcher.feed(kQuoteSymbol));
    CHECK(!allows(quote));
    CHECK(allows(token(",")));
    REQUIRE(matcher.feed(std::string_view(",key")));  // bare, and any
    CHECK(allows(token(":")));
    CHECK(allows(token("word")));
    CHECK(!allows(token(" word")));
}

TEST_CASE("token mask: time of a mask on the real vocabulary") {
    const auto now = [] {  // microseconds of this thread, because others have the cores too
        timespec t{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
    };
    test::real_tokenizer();
    const double before_trie = now();
    real_trie();
    MESSAGE("trees of the vocabulary in " << now() - before_trie << " us, where no test made them before");
    TestRandom random(3);
    std::vector<double> all;
    for (const char* schema : kSchemas) {
        const double begin = now();
        const auto grammar = grammar_of_schema(schema);
        const double compiled = now() - begin;
        std::vector<double> times;
        std::string slowest, text;
        TokenMask mask(*grammar, real_trie());
        const double prepared = now() - begin - compiled;
        std::optional<Matcher> matcher;
        TokenBits bits(real_trie().words(), 0);
        for (int step = 0; step < 60; ++step) {
            if (!matcher || (matcher->complete() && random.below(3) == 0)) {
                matcher.emplace(*grammar);
                text.clear();
            }
            std::fill(bits.begin(), bits.end(), 0);
            const double start = now();
            mask.add(*matcher, bits);
            times.push_back(now() - start);
            if (times.back() == *std::max_element(times.begin(), times.end())) slowest = text;
            const auto ids = ids_of(bits);
            if (ids.empty()) {
                matcher.reset();
                continue;
            }
            const std::string bytes = test::real_tokenizer().token_bytes(ids[random.below(static_cast<uint32_t>(ids.size()))]);
            REQUIRE(matcher->feed(bytes));
            text += bytes;
        }
        std::sort(times.begin(), times.end());
        MESSAGE(std::string(schema).substr(0, 40) << ": compiled in " << compiled << " us, tokens of its tables in " << prepared << " us, a mask in " << times[times.size() / 2] << " us, the slowest in "
                                                 << times.back() << " us, behind " << slowest.substr(std::max<size_t>(slowest.size(), 30) - 30));
        all.insert(all.end(), times.begin(), times.end());
    }
    std::sort(all.begin(), all.end());
    CHECK(all[all.size() / 2] < 5000);  // of any machine, sanitizers included; measured times are in docs/performance.md
}
